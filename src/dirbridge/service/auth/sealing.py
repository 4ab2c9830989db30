"""Secrets at rest: what is stored in the database is sealed with a key that is not.

Used by `authority` and `tokens` for their private keys. The key file holds one key a line, 32 bytes in base64: the
first seals, every one opens, so a key is rotated by putting a new line on top and dropping the old one later.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dirbridge.contract.errors import ConfigurationError

_VERSION = b"\x01"
_KEY_LENGTH = 32
_ID_LENGTH = 8
_NONCE_LENGTH = 12


class Sealing:
    """Seals and opens with AES-256-GCM.

    A sealed text is version, id of the key, nonce, ciphertext with tag. The context it was sealed for is
    authenticated, not stored: a sealed key moved to another row does not open.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._current = _key_id(keys[0])
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}

    @classmethod
    def open(cls, file: Path) -> Self:
        """Read the key file.

        Raises:
            ConfigurationError: it is missing, readable by others or not a list of keys.
        """
        try:
            mode = file.stat().st_mode
            lines = file.read_text("ascii").split()
        except FileNotFoundError as error:
            raise ConfigurationError(
                f"The sealing key {file} is missing, and without it nothing sealed in the database can be opened.",
                code="SealingKeyMissing",
                recommended_action="Put the file back from a back-up, or copy it from the machine that ran `init`.",
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"The sealing key {file} cannot be read: {error}.",
                code="SealingKeyUnreadable",
                recommended_action="Make it readable by the account that runs the service, and by no other.",
            ) from error
        if mode & 0o077:
            raise ConfigurationError(
                f"The sealing key {file} has mode {mode & 0o777:04o}, so others may read it; 0600 is expected.",
                code="SealingKeyExposed",
                recommended_action=f"Run `chmod 600 {file}`.",
            )
        try:
            keys = [base64.b64decode(line, validate=True) for line in lines]
        except binascii.Error:
            keys = []
        if not keys or any(len(key) != _KEY_LENGTH for key in keys):
            raise ConfigurationError(
                f"The sealing key {file} is damaged: each line must be {_KEY_LENGTH} bytes in base64.",
                code="SealingKeyUnreadable",
                recommended_action="Put the file back from a back-up.",
            )
        return cls(keys)

    @classmethod
    def create(cls, file: Path) -> Self:
        """Make the key file unless it exists, and read it. Two processes that do this at once get the same key."""
        draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(base64.b64encode(secrets.token_bytes(_KEY_LENGTH)) + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
            file.hardlink_to(draft)
        except FileExistsError:
            pass
        except OSError as error:
            raise ConfigurationError(
                f"The sealing key {file} cannot be written: {error}.",
                code="SealingKeyUnwritable",
                recommended_action="Make its folder writable for the account that runs the service.",
            ) from error
        finally:
            draft.unlink(missing_ok=True)
        return cls.open(file)

    def seal(self, plain: bytes, context: str) -> bytes:
        """Seal for one place, such as `keys/<tenant>/ca/<id>`."""
        nonce = secrets.token_bytes(_NONCE_LENGTH)
        return _VERSION + self._current + nonce + self._ciphers[self._current].encrypt(nonce, plain, context.encode())

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """Open what was sealed for this place.

        Raises:
            ConfigurationError: it was sealed with a key that the key file does not hold, or was altered or moved.
        """
        key_id, rest = sealed[1 : 1 + _ID_LENGTH], sealed[1 + _ID_LENGTH :]
        cipher = self._ciphers.get(key_id)
        if sealed[:1] != _VERSION or cipher is None:
            raise ConfigurationError(
                f"{context} is sealed with key {key_id.hex()}, which the sealing key file does not hold.",
                code="SealingKeyWrong",
                recommended_action="Put back the sealing key file that belongs to this database.",
            )
        try:
            return cipher.decrypt(rest[:_NONCE_LENGTH], rest[_NONCE_LENGTH:], context.encode())
        except InvalidTag as error:
            raise ConfigurationError(
                f"{context} does not open: its sealed text was altered or belongs to another place.",
                code="SealedTextDamaged",
                recommended_action="Restore the database from a back-up; secrets of a configuration can be given anew.",
            ) from error


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"dirbridge sealing key" + key).digest()[:_ID_LENGTH]
