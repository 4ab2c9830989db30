"""The rights of the account that reads a domain: what each purpose needs, what is missing, what is too much.

Used by `dirbridge agent permissions`. Looking is done with the account itself, or with an administrator's, who sees
more; changing needs an administrator. Only rules and memberships of this very account are touched.

Source: MS-ADTS 3.1.1.3.4.1.11 (LDAP_SERVER_SD_FLAGS_OID), 5.1.3.2.1 (control access rights).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal
from uuid import UUID

from dirbridge.connectors.ad import descriptor, dirsync, entries
from dirbridge.connectors.ad.descriptor import READING, Right, Rule
from dirbridge.connectors.ad.directory import ADMINISTRATIVE
from dirbridge.connectors.ad.settings import Settings
from dirbridge.connectors.ldap_wire import ber
from dirbridge.connectors.ldap_wire.account import Dialect
from dirbridge.connectors.ldap_wire.connection import BASE, SUBTREE, Connection, Control, Search
from dirbridge.connectors.ldap_wire.values import escaped
from dirbridge.contract.errors import ConfigurationError, CredentialError, DirbridgeError

SD_FLAGS = "1.2.840.113556.1.4.801"
_OWNER, _RULES = 1, 4
_NEEDED_ON_DELETED = Right.LIST_CONTENTS | Right.READ_PROPERTY
_NEEDED_TO_READ = Right.LIST_CONTENTS | Right.READ_PROPERTY | Right.LIST_OBJECT
_DOMAIN_ADMINS = 512

# Source: MS-ADTS 5.1.3.2.1.
_CONTROL_RIGHTS = {
    UUID("1131f6aa-9c07-11d1-f79f-00c04fc2dcd2"): "Replicating Directory Changes",
    UUID("1131f6ad-9c07-11d1-f79f-00c04fc2dcd2"): "Replicating Directory Changes All",
    UUID("89e95b76-444d-4c62-991a-0facbeda640c"): "Replicating Directory Changes In Filtered Set",
    UUID("1131f6ab-9c07-11d1-f79f-00c04fc2dcd2"): "Replication Synchronization",
    UUID("1131f6ac-9c07-11d1-f79f-00c04fc2dcd2"): "Manage Replication Topology",
    UUID("00299570-246d-11d0-a768-00aa006e0529"): "Reset Password",
    UUID("45ec5156-db7e-47bb-b53f-dbeb2d03c40f"): "Reanimate Tombstones",
}


@dataclass(frozen=True, slots=True)
class Permission:
    """A right that is needed, or one that is not.

    Attributes:
        purpose: what it is for; `none` where it is for nothing.
        state: `unknown` where this account may not see whether it is there.
        right, place: in words, and a distinguished name.
    """

    purpose: Literal["read", "deletes", "none"]
    state: Literal["granted", "missing", "excess", "unknown"]
    right: str
    place: str


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who may change rights: the domain of the settings, with another account."""

    settings: Settings
    user: str
    secret: str

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def base_dn(self) -> str:
        return self.settings.base_dn

    @property
    def ca_file(self) -> Path:
        return self.settings.ca_file

    @property
    def connect_timeout(self) -> timedelta:
        return self.settings.connect_timeout

    @property
    def answer_timeout(self) -> timedelta:
        return self.settings.answer_timeout

    @property
    def dialect(self) -> Dialect:
        return self.settings.dialect

    def password(self) -> str:
        return self.secret


@dataclass(frozen=True, slots=True)
class _Subject:
    """The account that the agent reads with."""

    dn: str
    sid: bytes
    groups: Sequence[str]


async def examine(settings: Settings, administrator: Administrator | None = None) -> list[Permission]:
    """Say what the account has, lacks, and has too much.

    Raises:
        DirbridgeError: the domain cannot be asked, or the account is not there.
    """
    async with _connected(settings, settings) as own:
        reads = await _reads(own, settings)
        lists = await _lists_deleted(own, settings)
        if administrator is None:
            return [permission async for permission in _look(own, settings, reads=reads, lists=lists)]
    async with _connected(settings, administrator) as other:
        return [permission async for permission in _look(other, settings, reads=reads, lists=lists)]


async def repair(settings: Settings, administrator: Administrator) -> AsyncIterator[str]:
    """Grant what is missing and take away what is too much; gives a sentence for each thing that was done.

    Raises:
        DirbridgeError: the domain cannot be asked, or refuses the change.
    """
    present = await examine(settings, administrator)
    async with _connected(settings, administrator) as admin:
        subject = await _subject(admin, settings)
        for place in _places(settings):
            mine = [each for each in present if each.place == place]
            lacking = any(each.state == "missing" for each in mine)
            if not lacking and not any(each.state == "excess" for each in mine):
                continue
            old = await _rules(admin, place) or await _rules_as_owner(admin, settings, place)
            kept = [rule for rule in old[1] if not _is_excess(rule, subject.sid)]
            gone = [rule for rule in old[1] if _is_excess(rule, subject.sid)]
            # What is too much may be all that let it list deleted objects: that part is given back.
            if lacking or (place == _deleted(settings) and any(rule.kind is None for rule in gone)):
                needed = _NEEDED_ON_DELETED if place == _deleted(settings) else _NEEDED_TO_READ
                kept = descriptor.added(kept, Rule.allow(subject.sid, needed))
            await _write(admin, place, descriptor.with_rules(old[0], kept), _RULES)
            for each in mine:
                done = "Granted" if each.state == "missing" else "Took away"
                if each.state in {"missing", "excess"}:
                    yield f"{done}: {each.right} on {each.place}."
        for group in subject.groups:
            if any(each.state == "excess" and each.place == group for each in present):
                await admin.modify(group, "delete", "member", [subject.dn.encode()])
                yield f"Took away: membership of {group}."


async def _look(connection: Connection, settings: Settings, *, reads: bool, lists: bool) -> AsyncIterator[Permission]:
    subject = await _subject(connection, settings)
    yield Permission(
        "read", "granted" if reads else "missing", "read users, groups, contacts and containers", settings.base_dn
    )
    yield Permission(
        "deletes", "granted" if lists else "missing", "List Contents and Read Property", _deleted(settings)
    )
    for place in _places(settings):
        found = await _rules(connection, place)
        if found is None:
            yield Permission("none", "unknown", "what else the account may do", place)
            continue
        for rule in found[1]:
            if _is_excess(rule, subject.sid):
                yield Permission("none", "excess", _words(rule), place)
    for permission in await _memberships(connection, subject):
        yield permission


async def _memberships(connection: Connection, subject: _Subject) -> list[Permission]:
    """Give the administrative groups: those that it is a member of itself, by name, and those that these lead to."""
    found = await connection.search(Search(subject.dn, BASE, attributes=("tokenGroups",)))
    sids = {sid for one in found for sid in one[1].get("tokenGroups", ())}
    held = {sid for sid in sids if int.from_bytes(sid[-4:], "little") in ADMINISTRATIVE}
    excess = []
    for group in subject.groups:
        one = await connection.search(Search(group, BASE, attributes=("objectSid", "tokenGroups")))
        own = {sid for each in one for name in ("objectSid", "tokenGroups") for sid in each[1].get(name, ())}
        leads = sorted(ADMINISTRATIVE[int.from_bytes(sid[-4:], "little")] for sid in own & held)
        if leads:
            excess.append(Permission("none", "excess", f"membership ({', '.join(leads)})", group))
    return excess


async def _reads(connection: Connection, settings: Settings) -> bool:
    """Tell whether the account sees the head of the domain and itself."""
    head = await connection.search(Search(settings.base_dn, BASE, attributes=("objectSid",)))
    if not head or not head[0][1].get("objectSid"):
        return False
    found = await connection.search(_named(settings))
    return any(one[1].get("userAccountControl") for one in found)


async def _lists_deleted(connection: Connection, settings: Settings) -> bool:
    question = Search(_deleted(settings), BASE, attributes=("isDeleted",), controls=[Control(dirsync.SHOW_DELETED)])
    try:
        return any(one[1].get("isDeleted") for one in await connection.search(question))
    except ConfigurationError as error:
        if error.code not in {"WrongNamingContext", "InsufficientRights"}:
            raise
        return False


def _named(settings: Settings) -> Search:
    """Ask for the account by the name that it signs in with."""
    user, attributes = settings.user, ("objectSid", "memberOf", "userAccountControl", "userPrincipalName")
    if "=" in user:
        return Search(user, BASE, attributes=attributes)
    name = re.split(r"\\", user)[-1]
    short = escaped(name.partition("@")[0].encode())
    whole = escaped(name.encode())
    either = f"(|(userPrincipalName={whole})(sAMAccountName={short}))"
    return Search(settings.base_dn, SUBTREE, f"(&(objectClass=user){either})", attributes)


async def _subject(connection: Connection, settings: Settings) -> _Subject:
    found = await connection.search(_named(settings))
    # A whole name goes before the short one that another account may have.
    whole = [one for one in found if settings.user.lower() in map(_lowered, one[1].get("userPrincipalName", ()))]
    found = whole or found
    if len(found) != 1 or not found[0][1].get("objectSid"):
        raise ConfigurationError(
            f"The account {settings.user} of the settings is not found in {settings.name}"
            + (f": the name stands for {len(found)}." if len(found) > 1 else ", or may not be read."),
            code="AccountNotFound",
            recommended_action="Correct `user` in the agent's settings, or look as an administrator: --administrator.",
        )
    values = found[0][1]
    groups = [value.decode() for value in values.get("memberOf", ())]
    return _Subject(found[0][0], values["objectSid"][0], groups)


def _lowered(value: bytes) -> str:
    return value.decode(errors="replace").lower()


async def _rules(connection: Connection, place: str) -> tuple[bytes, list[Rule]] | None:
    """Give a place's descriptor and its rules; None where they may not be read."""
    controls = [Control(dirsync.SHOW_DELETED), _part(_RULES)]
    try:
        found = await connection.search(Search(place, BASE, attributes=("nTSecurityDescriptor",), controls=controls))
    except ConfigurationError as error:
        if error.code not in {"WrongNamingContext", "InsufficientRights"}:
            raise
        return None
    values = [value for one in found for value in one[1].get("nTSecurityDescriptor", ())]
    return (values[0], descriptor.rules(values[0])) if values else None


async def _rules_as_owner(connection: Connection, settings: Settings, place: str) -> tuple[bytes, list[Rule]]:
    """Take a place for the domain's administrators, who may change its rules then: as dsacls /takeownership does."""
    head = await connection.search(Search(settings.base_dn, BASE, attributes=("objectSid",)))
    owner = entries.with_relative_id(head[0][1]["objectSid"][0], _DOMAIN_ADMINS)
    await _write(connection, place, descriptor.with_owner(owner), _OWNER)
    found = await _rules(connection, place)
    if found is None:
        raise ConfigurationError(
            f"The access rules of {place} may not be read, even by who owns it.",
            code="InsufficientRights",
            recommended_action="Give an account of Domain Admins as --administrator.",
        )
    return found


async def _write(connection: Connection, place: str, value: bytes, part: int) -> None:
    controls = [Control(dirsync.SHOW_DELETED), _part(part)]
    await connection.modify(place, "replace", "nTSecurityDescriptor", [value], controls)


def _part(flags: int) -> Control:
    """Speak of a part of a security descriptor only: SEQUENCE { flags INTEGER }."""
    return Control(SD_FLAGS, ber.element(ber.SEQUENCE, ber.integer(flags)))


def _is_excess(rule: Rule, sid: bytes) -> bool:
    return bool(rule.sid == sid and rule.allows and not rule.inherited and rule.rights & ~READING)


def _words(rule: Rule) -> str:
    """Name what a rule gives beyond reading."""
    if rule.rights & Right.GENERIC_ALL or rule.rights & 0xF01FF == 0xF01FF:
        return "Full Control"
    names = [str(right.name).replace("_", " ").title() for right in Right if right & rule.rights & ~READING]
    if rule.kind is not None:
        names.append(_CONTROL_RIGHTS.get(rule.kind, f"of {rule.kind}"))
        if rule.kind in _CONTROL_RIGHTS and rule.rights & ~READING == Right.CONTROL_ACCESS:
            return _CONTROL_RIGHTS[rule.kind]
    return ", ".join(names)


def _deleted(settings: Settings) -> str:
    return f"CN=Deleted Objects,{settings.base_dn}"


def _places(settings: Settings) -> Iterator[str]:
    """Name where rules of the account are looked for."""
    yield settings.base_dn
    yield _deleted(settings)
    yield f"CN=AdminSDHolder,CN=System,{settings.base_dn}"


@asynccontextmanager
async def _connected(settings: Settings, account: Settings | Administrator) -> AsyncIterator[Connection]:
    """Connect to the first server that answers.

    Raises:
        CredentialError: the account was refused; no other server is asked.
    """
    failure: DirbridgeError | None = None
    for server in settings.servers:
        try:
            connection = await Connection.open(account, server)
        except CredentialError:
            raise
        except DirbridgeError as error:
            failure = failure or error
            continue
        try:
            yield connection
        finally:
            await connection.close()
        return
    assert failure is not None
    raise failure
