"""What is in a made-up directory: every entry is computed from its number, and its number from its anchor."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

from dirbridge.connectors.generated.settings import Settings
from dirbridge.contract.entry import Container, Entry, Selection, Values
from dirbridge.contract.wire import Located

USER, GROUP, CONTAINER = "user", "group", "container"
_KINDS = {USER: 1, GROUP: 2, CONTAINER: 3}
DEPARTMENTS = ("Sales", "Finance", "Research", "Production", "Purchasing", "Personnel", "Legal", "Service")

# Numbers are scattered over 32 bits, as real objectGUIDs are, by a factor that can be divided out again.
_FACTOR = 0x9E3779B1
_INVERSE = pow(_FACTOR, -1, 2**32)

_GIVEN = ("Anna", "Björn", "Chloé", "Dmitri", "Elif", "Françoise", "Grzegorz", "Håkon", "Iñigo", "Jana", "Kazuo")
_FAMILY = ("Müller", "O'Brien", "Núñez", "Šimek", "van Dijk", "Åberg", "Kowalski", "Sato", "Øster", "D'Amico", "Weiß",
           "Yılmaz", "Nguyễn")  # fmt: skip


_ANCHOR = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4000-8000-[0-9a-f]{12}")
_ACCOUNT = re.compile(r"u(?P<user>\d{7})(?:@(?P<domain>.+))?|g(?P<group>\d{6})")

_SAME: dict[str, dict[str, Values]] = {
    USER: {
        "company": ("Made-up & Sons",),
        "co": ("Germany",),
        "c": ("DE",),
        "accountExpires": ("9223372036854775807",),
    },
    GROUP: {"groupType": ("-2147483646",)},
}
"""What is the same for every entry of a kind."""


class Directory:
    """A directory at one revision."""

    def __init__(self, settings: Settings, revision: int) -> None:
        self.settings = settings
        self.revision = revision
        identity = f"{settings.seed}/{settings.name}".encode()
        self._tail = hashlib.blake2b(identity, digest_size=6).hexdigest()
        self._titles = {
            (change // 2) % settings.users: change for change in range(1, revision + 1, 2) if settings.users
        }
        self._toggled = self.toggled(0)
        self._makers: dict[str, Callable[[int], Values]] = {
            "objectGUID": lambda i: (UUID(self.anchor(USER, i)).bytes_le,),
            "sAMAccountName": lambda i: (f"u{i:07d}",),
            "userPrincipalName": lambda i: (f"u{i:07d}@{settings.name}",),
            "cn": lambda i: (self._display_name(i),),
            "displayName": lambda i: (self._display_name(i),),
            "givenName": lambda i: (_GIVEN[i % len(_GIVEN)],),
            "sn": lambda i: (_FAMILY[i % len(_FAMILY)],),
            "mail": lambda i: (f"u{self._mailbox(i):07d}@{settings.name}",),
            "proxyAddresses": lambda i: (f"SMTP:u{i:07d}@{settings.name}", f"smtp:alias{i}@{settings.name}"),
            "department": lambda i: (DEPARTMENTS[i % len(DEPARTMENTS)],),
            "title": lambda i: (f"Title {self._titles.get(i, 0)}",),
            "telephoneNumber": lambda i: (f"+49 30 {i:07d}",),
            "mobile": lambda i: (f"+49 170 {i:07d}",),
            "streetAddress": lambda i: (f"{i % 200 + 1} High Street",),
            "l": lambda i: ("Zürich" if i % 3 else "Köln",),
            "postalCode": lambda i: (f"{10000 + i % 80000}",),
            "employeeID": lambda i: (f"{i}",),
            "userAccountControl": lambda i: ("514" if i % 50 == 49 else "512",),
            "objectSid": lambda i: (b"\x01\x05\x00\x00\x00\x00\x00\x05" + (1000 + i).to_bytes(20, "little"),),
        }
        self._group_makers: dict[str, Callable[[int], Values]] = {
            "objectGUID": lambda i: (UUID(self.anchor(GROUP, i)).bytes_le,),
            "sAMAccountName": lambda i: (f"g{i:06d}",),
            "cn": lambda i: (f"Group {i}",),
            "displayName": lambda i: (f"Group {i}",),
            "description": lambda i: (f"The made-up group {i}",),
            "adminDescription": lambda i: ("Group_made-up",) if i == 0 and self.has_left(revision) else (),
            "objectSid": lambda i: (b"\x01\x05\x00\x00\x00\x00\x00\x05" + (2**31 + i).to_bytes(20, "little"),),
        }

    def anchor(self, kind: str, number: int) -> str:
        """Give the anchor of an entry by its number."""
        return f"{number * _FACTOR % 2**32:08x}-000{_KINDS[kind]}-4000-8000-{self._tail}"

    def number(self, anchor: str) -> tuple[str, int] | None:
        """Give kind and number of an anchor; None where nothing here has it."""
        head, middle = anchor[:8], anchor[8:]
        for kind, digit in _KINDS.items():
            if middle == f"-000{digit}-4000-8000-{self._tail}":
                number = int(head, 16) * _INVERSE % 2**32
                return (kind, number) if number < self._count(kind) else None
        return None

    def locate(self, name: str) -> Located:
        """Find an entry by its account name, a container by its own, either by its anchor. None share a name."""
        found = _ANCHOR.fullmatch(name) and self.number(name)
        if not found and (account := _ACCOUNT.fullmatch(name)):
            kind, number = (USER, int(account["user"])) if account["user"] else (GROUP, int(account["group"]))
            is_ours = (account["domain"] or self.settings.name) == self.settings.name
            found = (kind, number) if is_ours and number < self._count(kind) else None
        elif not found and name in (tree := (self.settings.name, *DEPARTMENTS)):
            found = CONTAINER, tree.index(name)
        return Located(name, self.anchor(*found), found[0], name) if found else Located(name)

    def containers(self) -> tuple[Container, ...]:
        """Give the whole tree: the domain, and below it a container for each department."""
        root = Container(self.anchor(CONTAINER, 0), None, self.settings.name)
        return root, *(
            Container(self.anchor(CONTAINER, number), root.anchor, name)
            for number, name in enumerate(DEPARTMENTS, start=1)
        )

    def named(self, text: str, kinds: Sequence[str]) -> Iterator[Located]:
        """Give entries of some kinds that have a text in their name or account name."""
        wanted = text.casefold()
        for kind, letter, digits in ((GROUP, "g", 6), (USER, "u", 7)):
            for number in range(self._count(kind)) if kind in kinds else ():
                name = self._display_name(number) if kind == USER else f"Group {number}"
                account = f"{letter}{number:0{digits}d}"
                if wanted in name.casefold() or wanted in account:
                    yield Located(name, self.anchor(kind, number), kind, account)
        for node in self.containers() if CONTAINER in kinds else ():
            if wanted in node.name.casefold():
                yield Located(node.name, node.anchor, CONTAINER, node.name)

    def maker(self, kind: str, selection: Selection) -> Callable[[int], Entry]:
        """Give the function that makes the entries of one kind as they were asked for."""
        known = self._makers if kind == USER else self._group_makers
        asked = selection.attributes[kind]
        wanted = [(name, known[name]) for name in asked if name in known]
        optional = {"adminDescription"} & set(asked) if kind == GROUP else set()
        same = {name: values for name, values in _SAME[kind].items() if name in asked}
        has_manager = kind == USER and "manager" in selection.references.get(kind, ())

        def make(number: int) -> Entry:
            manager = (self.anchor(USER, number // 10),) if has_manager and number >= 10 else ()
            return Entry(
                self.anchor(kind, number),
                kind,
                self._display_name(number) if kind == USER else f"Group {number}",
                container=self.anchor(CONTAINER, 1 + number % len(DEPARTMENTS)),
                attributes=same
                | {name: values for name, maker in wanted if (values := maker(number)) or name not in optional},
                references={"manager": manager} if manager else {},
            )

        return make

    def attributes(self, kind: str) -> list[str]:
        """Give the names of the attributes that entries of a kind have."""
        known = self._makers if kind == USER else self._group_makers
        return sorted({*known, *_SAME[kind]}, key=str.lower)

    def is_emptied(self, revision: int) -> bool:
        """Tell whether the first group has lost all its members by a revision."""
        return 0 < self.settings.emptied_at <= revision

    def has_left(self, revision: int) -> bool:
        """Tell whether the first group bears the mark of what is not to be synchronized by a revision."""
        return 0 < self.settings.left_at <= revision

    def members(self, group: int, *, whatever: bool = False) -> Iterator[str]:
        """Give the anchors of a group's members.

        Args:
            whatever: as if the first group had not been emptied.
        """
        settings = self.settings
        if group == 0 and self.is_emptied(self.revision) and not whatever:
            return iter(())
        first = group * 7919
        base = ((first + offset) % settings.users for offset in range(self._size(group)))
        if group:
            return (self.anchor(USER, number) for number in base)
        return (self.anchor(USER, number) for number in sorted(set(base) ^ self._toggled))

    def is_member(self, number: int) -> bool:
        """Tell whether a user is a member of the first group, without going through all of them."""
        if self.is_emptied(self.revision):
            return False
        return (number < self._size(0)) != (number in self._toggled)

    def _size(self, group: int) -> int:
        """Give how many members a group began with; those of the first one are the first users."""
        settings = self.settings
        return settings.largest or settings.members if group == 0 else settings.members

    def retitled(self, since: int) -> list[int]:
        """Give the users who got a new title after a revision."""
        return sorted(number for number, change in self._titles.items() if change > since)

    def toggled(self, since: int) -> set[int]:
        """Give the users who after a revision joined or left the first group and did not undo it."""
        if not (self.settings.users and self.settings.groups):
            return set()
        first = since + 1 if since % 2 else since + 2
        times = Counter((change // 2 - 1) % self.settings.users for change in range(first, self.revision + 1, 2))
        return {number for number, count in times.items() if count % 2}

    def _mailbox(self, number: int) -> int:
        """Give the user whose address a user has: mostly its own."""
        every = self.settings.duplicates
        return number - 1 if every and number % every == every - 1 else number

    def _display_name(self, number: int) -> str:
        return f"{_GIVEN[number % len(_GIVEN)]} {_FAMILY[number % len(_FAMILY)]} {number}"

    def _count(self, kind: str) -> int:
        if kind == CONTAINER:
            return len(DEPARTMENTS) + 1
        return self.settings.users if kind == USER else self.settings.groups
