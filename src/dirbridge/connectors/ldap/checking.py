"""What a check of a directory finds.

Used by `source`.
"""

from __future__ import annotations

from dirbridge.connectors.ldap.directory import Directory
from dirbridge.connectors.ldap.entries import NS_UNIQUE_ID
from dirbridge.connectors.ldap.settings import Settings
from dirbridge.contract.errors import WatermarkExpired
from dirbridge.contract.wire import Finding

_OVERLAY = (
    "OpenLDAP: `overlay syncprov` with `syncprov-sessionlog`; 389-DS: the plug-ins Content Synchronization and Retro "
    "Changelog."
)


async def findings(settings: Settings, directory: Directory) -> list[Finding]:
    """Say what can be read, how changes are told, and whether the account sees all."""
    facts = directory.facts
    return [
        Finding("connection", "pass", f"Connected to {facts.replica} as {settings.user}."),
        await _changes(settings, directory),
        await _anchors(directory),
        await _rights(settings, directory),
    ]


async def _changes(settings: Settings, directory: Directory) -> Finding:
    if directory.facts.synchronizes:
        told = await _told(directory) if directory.facts.anchor == NS_UNIQUE_ID else None
        if told is not None and not told[1]:
            return Finding(
                "changes",
                "warn",
                f"{directory.facts.replica} has noted changes, and tells of none of the last {told[0]} anywhere below "
                f"{settings.base_dn}.",
                "If anything was changed there of late, its change log lacks what identifies entries: "
                "`dsconf INSTANCE plugin retro-changelog set --attribute nsuniqueid:targetUniqueId`, restart it, and "
                "then the job.",
                "ChangesNotTold",
            )
        return Finding("changes", "pass", f"{settings.name} reports changes by syncrepl.")
    reason = f"{directory.facts.replica} has no content synchronization (syncrepl): every cycle reads everything."
    return Finding("changes", "warn", reason, f"Switch it on. {_OVERLAY}")


async def _told(directory: Directory) -> tuple[int, int] | None:
    try:
        return await directory.told_of_late()
    except WatermarkExpired:  # the position was made up; a server that does not take it tells nothing by that
        return None


async def _anchors(directory: Directory) -> Finding:
    """Look the head up, which raises where it is not found."""
    async for _ in directory.read([directory.facts.head], ()):
        pass
    return Finding("anchors", "pass", f"Entries are found by their {directory.facts.anchor}.")


async def _rights(settings: Settings, directory: Directory) -> Finding:
    gaps = await directory.gaps()
    if not gaps:
        return Finding("rights", "pass", f"{settings.user} sees something below every entry that has others below it.")
    return Finding(
        "rights",
        "fail",
        f"{settings.user} sees nothing below {gaps[0]}, where there are entries: deletes would not be believed.",
        f"Give it read access to the whole of {settings.base_dn}.",
        "ViewHasGaps",
    )
