"""A question as Active Directory is asked: names with their GUIDs, and the controls it reads by.

Used by `directory`, and by whoever else puts a question to a domain controller.
"""

from __future__ import annotations

from collections.abc import Sequence

from dirbridge.connectors.ad import dirsync
from dirbridge.connectors.ldap_wire.connection import Control, Search


def ask(
    base: str,
    scope: int,
    filter: str = "(objectClass=*)",  # noqa: A002 - LDAP's word
    attributes: Sequence[str] = (),
    *,
    show_deleted: bool = False,
    changes: bytes | None = None,
    page: int = 0,
    first_page: bool = False,
) -> Search:
    """Put a question together.

    Args:
        show_deleted: tombstones too. changes: value of the DirSync control, for a question about changes.
        page: entries to ask for at a time, where the answer may be longer than servers give at once.
        first_page: the first page is enough.
    """
    controls = [Control(dirsync.EXTENDED_DN, dirsync.extended_dn())]
    if show_deleted:
        controls.append(Control(dirsync.SHOW_DELETED))
    if changes is not None:
        controls.append(Control(dirsync.DIRSYNC, changes))
    return Search(base, scope, filter, attributes, controls, page, first_page)
