"""A directory as its administrator sees it, through the distribution's own LDAP tools.

Shares no code with the connectors on purpose: what the demo says of a synchronization is only worth something when the
directory is read by something else than what was synchronized with.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from dirbridge.contract.errors import ConfigurationError, DirbridgeError

PAGE = 500
TOOL_SECONDS = 60
SHOW_DELETED = "1.2.840.113556.1.4.417"


@dataclass(frozen=True, slots=True)
class Found:
    """One entry: its DN and its attributes, by name in lower case."""

    dn: str
    attributes: dict[str, tuple[bytes, ...]]

    def values(self, name: str) -> tuple[bytes, ...]:
        return self.attributes.get(name.lower(), ())

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(value.decode() for value in self.values(name))

    def text(self, name: str) -> str | None:
        """Give the first value as text, or None where the attribute is absent."""
        return next(iter(self.texts(name)), None)


class Reader:
    """Reads and edits one directory over LDAPS with `ldapsearch` and `ldapmodify`.

    Attributes:
        base_dn: head of the naming context.
    """

    def __init__(self, url: str, ca_file: Path, bind_dn: str, password: str, base_dn: str) -> None:
        self.base_dn = base_dn
        self._folder = Path(tempfile.mkdtemp(prefix="dirbridge-reader-"))
        secret = self._folder / "password"  # not on a command line, which every process can see
        secret.touch(mode=0o600)
        secret.write_text(password)
        self._common = ("-x", "-H", url, "-D", bind_dn, "-y", str(secret))
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("LDAP", "LC_", "LANG"))
        } | {"LDAPTLS_CACERT": str(ca_file), "LDAPTLS_REQCERT": "demand", "LC_ALL": "C.UTF-8"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file that holds the password."""
        shutil.rmtree(self._folder, ignore_errors=True)

    async def search(
        self,
        query: str = "(objectClass=*)",
        attributes: Sequence[str] = ("*",),
        *,
        base: str | None = None,
        scope: str = "sub",
        deleted: bool = False,
    ) -> list[Found]:
        """Read entries, page by page, with all values of attributes that come in ranges.

        Args:
            query: an LDAP filter.
            attributes: which to read; `*` for all that are not operational.
            base: where to begin; the head of the naming context where None.
            scope: `base`, `one` or `sub`.
            deleted: show deleted entries too.
        """
        options = ["-LLL", "-o", "ldif-wrap=no", "-E", f"pr={PAGE}/noprompt"]
        if deleted:
            options += ["-E", f"!{SHOW_DELETED}"]
        options += ["-b", base or self.base_dn, "-s", scope, query, *attributes]
        entries = list(parse(await self._run("ldapsearch", *options)))
        return [await self._whole(entry) for entry in entries]

    async def modify(self, ldif: str, *, deleted: bool = False) -> None:
        """Apply LDIF change records one after the other.

        Args:
            ldif: the records.
            deleted: they may name deleted entries.
        """
        options = ["-e", f"!{SHOW_DELETED}"] if deleted else []
        await self._run("ldapmodify", *options, text=ldif)

    async def _whole(self, entry: Found) -> Found:
        """Read on where the server gave only the first part of an attribute's values."""
        cut = [name for name in entry.attributes if ";range=" in name]
        if not cut:
            return entry
        attributes = {name: values for name, values in entry.attributes.items() if name not in cut}
        for name in cut:
            attribute = name.partition(";")[0]
            attributes[attribute] = await self._values(entry.dn, attribute)
        return Found(entry.dn, attributes)

    async def _values(self, dn: str, attribute: str) -> tuple[bytes, ...]:
        values: list[bytes] = []
        while True:
            wanted = ("(objectClass=*)", f"{attribute};range={len(values)}-*")
            text = await self._run("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", dn, "-s", "base", *wanted)
            (entry,) = parse(text)
            name = next((name for name in entry.attributes if name.startswith(f"{attribute};range=")), None)
            if name is None:
                raise DirbridgeError(f"'{dn}' gave no values of {attribute} from number {len(values)} on.")
            values += entry.attributes[name]
            if name.endswith("-*"):
                return tuple(values)

    async def _run(self, tool: str, *arguments: str, text: str = "") -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                tool,
                *self._common,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environment,
            )
        except FileNotFoundError:
            raise ConfigurationError(
                f"The program {tool} is not installed.",
                code="LdapToolsMissing",
                recommended_action="Install it: apt-get install ldap-utils",
            ) from None
        try:
            output, errors = await asyncio.wait_for(process.communicate(text.encode()), TOOL_SECONDS)
        except TimeoutError:
            raise DirbridgeError(
                f"`{tool}` did not come to its end within {TOOL_SECONDS} seconds.", code="DirectoryToolFailed"
            ) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise DirbridgeError(
                f"`{tool}` ended with {process.returncode}: {errors.decode(errors='replace').strip()[-600:]}",
                code="DirectoryToolFailed",
            )
        return output.decode()


def parse(ldif: str) -> Iterator[Found]:
    """Read the entries of an LDIF text; folded lines are joined, base64 is decoded, comments are left out.

    Raises:
        ValueError: a line is neither; it is given.

    Source: RFC 2849.
    """
    dn: str | None = None
    attributes: dict[str, list[bytes]] = {}
    for text in [*_unfold(ldif.split("\n")), ""]:
        if text:
            name, value = _attribute(text)
            if name == "dn":
                dn = value.decode()
            elif dn is not None and name not in {"ref", "version"}:
                attributes.setdefault(name, []).append(value)
        elif dn is not None:
            yield Found(dn, {name: tuple(values) for name, values in attributes.items()})
            dn, attributes = None, {}


def _unfold(lines: Iterable[str]) -> Iterator[str]:
    pending: str | None = None
    for text in lines:
        if text.startswith(" ") and pending is not None:
            pending += text[1:]
            continue
        if pending is not None and not pending.startswith("#"):
            yield pending
        pending = text
    if pending is not None and not pending.startswith("#"):
        yield pending


def _attribute(text: str) -> tuple[str, bytes]:
    name, colon, rest = text.partition(":")
    if not colon or rest.startswith("<"):
        raise ValueError(f"This is no LDIF: {text[:80]!r}.")
    if rest.startswith(":"):
        return name.lower(), base64.b64decode(rest[1:].strip(), validate=True)
    return name.lower(), rest.lstrip(" ").encode()
