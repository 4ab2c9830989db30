"""A real domain looked around in: the tree level by level, entries by parts of their names."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from dirbridge.connectors.ad import settings as ad_settings
from dirbridge.connectors.ad.source import ActiveDirectorySource
from tests.connectors.ad.conftest import Admin

pytestmark = pytest.mark.samba


async def test_the_tree_is_listed_level_by_level(source: ActiveDirectorySource, admin: Admin, ou: str) -> None:
    """From the head down: only containers, only those directly there, by name; none that the domain has for itself."""
    (head,) = (await source.browse(None)).found
    assert (head.anchor, head.shown, head.object_type) == (admin.anchor(admin.base), admin.base, "container")
    first = {one.shown: one for one in (await source.browse(head.anchor)).found}
    assert {ou, f"CN=Users,{admin.base}"} <= first.keys()
    assert f"CN=System,{admin.base}" not in first
    south, north = admin.unit(ou, "south, <b>West</b>"), admin.unit(ou, "North")
    inner = admin.unit(f"OU=North,{ou}", "Inner")
    admin.user(ou, "Ann")
    listed = await source.browse(first[ou].anchor)
    assert [(one.name, one.anchor) for one in listed.found] == [("North", north), ("south, <b>West</b>", south)]
    assert not listed.more
    assert [one.anchor for one in (await source.browse(north)).found] == [inner]
    assert (await source.browse(inner)).found == ()


async def test_what_is_no_container_any_more_is_said(source: ActiveDirectorySource, admin: Admin, ou: str) -> None:
    """Deleted meanwhile, never there, or no anchor at all."""
    gone = admin.unit(ou, "Gone")
    admin.delete(f"OU=Gone,{ou}")
    for anchor in (gone, str(uuid.uuid4()), "*)(objectClass=*"):
        assert (await source.browse(anchor)).missing


async def test_entries_are_found_by_parts_of_names(source: ActiveDirectorySource, admin: Admin, ou: str) -> None:
    """Groups and containers by any part, people by beginnings; no more than asked for."""
    mark = uuid.uuid4().hex[:8]
    groups = [admin.group(ou, f"{word} {mark} (crew*)") for word in ("Alpha", "Beta", "Gamma")]
    unit, ann = admin.unit(ou, f"Unit {mark}"), admin.user(ou, f"{mark} Ann")
    found = await source.search(f" {mark.upper()} ", ["group"], 10)
    assert ([one.anchor for one in found.found], found.more) == (groups, False)
    assert {one.object_type for one in found.found} == {"group"}
    few = await source.search(mark, ["group"], 2)
    assert (len(few.found), few.more) == (2, True)
    assert [one.anchor for one in (await source.search(mark, ["container"], 10)).found] == [unit]
    assert {one.anchor for one in (await source.search(mark, ["container", "group"], 10)).found} == {unit, *groups}
    assert [one.anchor for one in (await source.search(mark, ["user"], 10)).found] == [ann]
    assert (await source.search(mark[1:], ["user"], 10)).found == ()


async def test_what_is_typed_is_no_filter(source: ActiveDirectorySource, admin: Admin, ou: str) -> None:
    """Marks of filters stand for themselves; what can be nobody's name finds nobody."""
    mark = uuid.uuid4().hex[:8]
    group = admin.group(ou, f"{mark} (crew*)")
    assert [one.anchor for one in (await source.search(f"{mark} (crew*", ["group"], 10)).found] == [group]
    for text in (f"{mark}*)(objectClass=*", f"{mark[:4]}*{mark[4:]}", "\x00", "  ", "x" * 300):
        assert (await source.search(text, ["group"], 10)).found == ()


async def test_what_the_agent_keeps_back_is_not_shown(values: dict[str, Any], admin: Admin, ou: str) -> None:
    """A container that the settings exclude, what is in it, and names by attributes that may not leave the host."""
    mark = uuid.uuid4().hex[:8]
    admin.unit(ou, f"Secret {mark}")
    admin.group(f"OU=Secret {mark},{ou}", f"Hidden {mark}")
    ann = admin.user(ou, "Ann", displayName=f"{mark} Lee")
    open_to_all = ActiveDirectorySource(ad_settings.parse(values))
    assert [one.anchor for one in (await open_to_all.search(mark, ["user"], 10)).found] == [ann]
    kept = {"exclude_containers": [f"OU=Secret {mark},{ou}"], "exclude_attributes": ["displayName"]}
    source = ActiveDirectorySource(ad_settings.parse(values | kept))
    assert (await source.search(mark, ["user", "group", "container"], 10)).found == ()
    assert (await source.browse(admin.anchor(ou))).found == ()
