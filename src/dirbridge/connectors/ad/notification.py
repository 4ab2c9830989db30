"""Listening to a domain controller, which tells of each change as it happens.

Used by `source`. One search with a control never ends: an entry comes for every object that changed, the object and not
the change. Most of what changes in a domain is of no interest here; what is told in any doubt counts.

Source: MS-ADTS 3.1.1.3.4.1.9 (LDAP_SERVER_NOTIFICATION_OID): subtree scope at the head of a naming context only, and no
filter but the presence of objectClass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

from dirbridge.connectors.ad import dirsync
from dirbridge.connectors.ldap_wire.connection import SUBTREE, Attributes, Connection, Control, Search
from dirbridge.contract.errors import ConfigurationError, DirbridgeError

NOTIFICATION = "1.2.840.113556.1.4.528"

UNREAD = frozenset({b"computer", b"dnsNode", b"rIDSet", b"secret"})
"""Classes of objects that change by themselves all the time, and that no job reads."""
REMEMBERED = 10_000
"""Update sequence numbers that are known again."""
# How a server says that it does not know the control, or does not grant such a search.
_UNSUPPORTED = frozenset({"UNAVAILABLE_CRITICAL_EXTENSION", "UNWILLING_TO_PERFORM", "INAPPROPRIATE_MATCHING"})


async def listen(connection: Connection, base: str, usn: int) -> AsyncGenerator[bool, None]:
    """Give an item once listening has begun, after changes, and every second: whether there is news.

    The first one counts as news, and changes that come together are one.

    Args:
        connection: bound, and used for nothing else from now on.
        base: head of the domain. usn: the server's highest update sequence number before.

    Raises:
        ConfigurationError: `NotificationUnsupported` where the server does not take part.
    """
    controls = (Control(NOTIFICATION), Control(dirsync.SHOW_DELETED))
    question = Search(base, SUBTREE, attributes=("objectClass", "uSNChanged"), controls=controls, endless=True)
    news = _News(usn)
    begun = False
    try:
        async with aclosing(connection.stream(question)) as answer:
            async for chunk in answer:
                # A list: each one is to be remembered.
                changes = [found for found in chunk.found if news.has(found[1])]
                yield bool(changes) or not begun
                begun = True
    except DirbridgeError as error:
        if begun or error.details.get("ldapError") not in _UNSUPPORTED:
            raise
        raise ConfigurationError(
            f"{connection.server} does not tell of changes by itself: {error.reason}",
            code="NotificationUnsupported",
            details=error.details,
        ) from error


class _News:
    """Tells changes from what only looks like one.

    Every sign-in changes its account, in attributes that no domain controller replicates. Such a change takes no new
    update sequence number; were it taken for one, each cycle's own sign-in would bring about the next.
    """

    def __init__(self, usn: int) -> None:
        self._before = usn
        self._order: deque[int] = deque()
        self._seen: set[int] = set()

    def has(self, attributes: Attributes) -> bool:
        """Say whether an entry that was told is news, and remember it."""
        if not UNREAD.isdisjoint(attributes.get("objectClass", ())):
            return False
        (usn, *_) = attributes.get("uSNChanged", [b""])
        if not usn.isdigit():
            return True
        number = int(usn)
        if number <= self._before or number in self._seen:
            return False
        self._seen.add(number)
        self._order.append(number)
        if len(self._order) > REMEMBERED:
            self._seen.discard(self._order.popleft())
        return True
