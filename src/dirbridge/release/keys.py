"""Keys that sign releases: Ed25519, one file each, its public half beside it.

A private key leaves its file only to sign, and no part of it is ever shown or logged.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from securesystemslib.signer import CryptoSigner, SSlibKey

from dirbridge.contract.errors import ConfigurationError


def make(file: Path, passphrase: str | None) -> SSlibKey:
    """Make a key: `file` for its holder alone (mode 0600), `file.pub` for everybody.

    Args:
        passphrase: encrypts the file; None leaves it readable for whoever can read the file.

    Raises:
        ConfigurationError: one of the files is there already, or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for path, content, mode in ((file, private, 0o600), (public_file(file), public, 0o644)):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
        except FileExistsError as error:
            raise ConfigurationError(
                f"'{path}' is there already; a key is never written over.",
                code="KeyExists",
                recommended_action="Name another file.",
            ) from error
        except OSError as error:
            raise _unusable(path, error) from error
    return SSlibKey.from_crypto(key.public_key())


def public_file(file: Path) -> Path:
    """Give the place of a key's public half."""
    return file.with_name(file.name + ".pub")


def load(file: Path, passphrase: str | None) -> CryptoSigner:
    """Read a key to sign with.

    Raises:
        ConfigurationError: it cannot be read, the passphrase is wrong, or it is a key of another kind.
    """
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), None if passphrase is None else passphrase.encode())
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(file, error) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(file, TypeError("it is not an Ed25519 key"))
    return CryptoSigner(key)


def is_encrypted(file: Path) -> bool:
    """Say whether a key asks for a passphrase.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        return b"ENCRYPTED" in file.read_bytes().partition(b"\n")[0]
    except OSError as error:
        raise _unusable(file, error) from error


def load_public(file: Path) -> SSlibKey:
    """Read the public half of a key.

    Raises:
        ConfigurationError: it cannot be read, or is none.
    """
    try:
        key = serialization.load_pem_public_key(file.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise _unusable(file, error) from error
    if not isinstance(key, Ed25519PublicKey):
        raise _unusable(file, TypeError("it is not an Ed25519 key"))
    return SSlibKey.from_crypto(key)


def _unusable(file: Path, error: Exception) -> ConfigurationError:
    said = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
    return ConfigurationError(
        f"The key '{file}' cannot be used: {said}.",
        code="KeyUnusable",
        recommended_action="Give a file that `dirbridge release key` made (`.pub` where a public key is asked for), and"
        " its passphrase.",
    )
