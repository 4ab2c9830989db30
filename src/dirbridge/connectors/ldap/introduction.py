"""Who a directory server is, and what it can do: asked once, when it is connected to.

Used by `directory`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from dirbridge.connectors.ldap import entries, syncrepl
from dirbridge.connectors.ldap.entries import ENTRY_UUID, NS_UNIQUE_ID
from dirbridge.connectors.ldap.settings import Settings
from dirbridge.connectors.ldap.syncrepl import Mode
from dirbridge.connectors.ldap_wire.connection import BASE, Connection, Control, Found, Search
from dirbridge.connectors.ldap_wire.values import text
from dirbridge.contract.errors import ConfigurationError, DirbridgeError

_ROOT = ("namingContexts", "supportedControl", "vendorName")
_NOTHING = "(!(objectClass=*))"
# The overlay is not there, or not for this database.
_WITHOUT_SYNCREPL = frozenset({"UNAVAILABLE_CRITICAL_EXTENSION", "UNWILLING_TO_PERFORM", "PROTOCOL_ERROR"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server says of itself.

    Attributes:
        replica: its address. anchor: the attribute that identifies entries.
        head, head_name: anchor and name of the entry at base_dn.
        synchronizes: it has syncrepl. positions: its change number by replica id; OpenLDAP's contextCSN.
    """

    replica: str
    anchor: str
    head: str
    head_name: str
    synchronizes: bool
    positions: Mapping[str, str]


async def introduce(settings: Settings, connection: Connection) -> Facts:
    """Have the server say what it is, and make sure that it serves the directory.

    Raises:
        ConfigurationError: it does not, or does not show the account what identifies entries.
    """
    (root,) = await connection.search(Search("", BASE, attributes=_ROOT)) or [("", {})]
    controls = {text(one) for one in root[1].get("supportedControl", ())}
    anchor = NS_UNIQUE_ID if b"389" in (entries.value_of(root, "vendorName") or b"") else ENTRY_UUID
    head = await _head(settings, connection, anchor)
    identity = entries.value_of(head, anchor)
    if identity is None:
        raise entries.no_anchor(settings, anchor)
    contexts = [text(one) for one in root[1].get("namingContexts", ())]
    return Facts(
        replica=connection.server,
        anchor=anchor,
        head=entries.anchor_of(identity),
        head_name=head[0],
        synchronizes=syncrepl.REQUEST in controls and await _synchronizes(settings, connection),
        positions=await _positions(settings, connection, contexts),
    )


async def _head(settings: Settings, connection: Connection, anchor: str) -> Found:
    found = await connection.search(Search(settings.base_dn, BASE, attributes=("objectClass", anchor)))
    if found:
        return found[0]
    raise ConfigurationError(
        f"{connection.server} shows {settings.user} nothing at {settings.base_dn}.",
        code="WrongNamingContext",
        recommended_action="Correct base_dn or servers in the agent's settings, or let the account read there.",
    )


async def _synchronizes(settings: Settings, connection: Connection) -> bool:
    """Ask for nothing by syncrepl: a server may know the control and not offer it for this database."""
    control = Control(syncrepl.REQUEST, syncrepl.request(Mode.REFRESH_ONLY, b""))
    question = Search(settings.base_dn, BASE, _NOTHING, ("1.1",), controls=[control], detailed=True)
    try:
        async with aclosing(connection.stream(question)) as chunks:
            return any([syncrepl.DONE in chunk.controls async for chunk in chunks])
    except DirbridgeError as error:
        if error.details.get("ldapError") not in _WITHOUT_SYNCREPL:
            raise
        return False


async def _positions(settings: Settings, connection: Connection, contexts: Sequence[str]) -> dict[str, str]:
    """Change numbers of an OpenLDAP server, by the id of the replica that made them; none where it shows none."""
    base = entries.folded(settings.base_dn)
    within = [one for one in contexts if base == entries.folded(one) or base.endswith("," + entries.folded(one))]
    found: dict[str, str] = {}
    for context in within[:1]:
        try:
            head = await connection.search(Search(context, BASE, attributes=("contextCSN",)))
        except ConfigurationError:
            return {}
        for raw in head[0][1].get("contextCSN", ()) if head else ():
            parts = text(raw).split("#")  # time, count, replica id, modification: draft-chu-ldap-csn section 3
            found[parts[2] if len(parts) > 2 else ""] = text(raw)
    return found
