"""What the tenant must be, worked out from the directory by the plainest means."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dirbridge.connectors.memory.directory import Node
from tests.engine.world import DOMAIN, World, key

PEOPLE = ("user", "inetOrgPerson")
ENTRIES = (*PEOPLE, "group", "contact")
COMPARED = (
    "displayName",
    "mail",
    "department",
    "givenName",
    "surname",
    "accountEnabled",
    "onPremisesDistinguishedName",
)


def is_chosen(world: World, node: Node) -> bool:
    """Whether the OUs and groups that the world chose take an entry, by the plainest means."""
    if not world.chosen_containers and not world.chosen_groups:
        return True
    nodes = world.directory.nodes
    above = node.container or None
    while above:
        if above in world.chosen_containers:
            return True
        above = nodes[above].container or None
    reached: set[str] = set()
    following = set(world.chosen_groups)
    while following:
        reached |= following
        people = [each for each in world.directory.live(*PEOPLE) if each.primary_group in following]
        groups = [nodes[anchor] for anchor in following if anchor in nodes and nodes[anchor].object_type == "group"]
        members = {member for group in groups if not group.deleted for member in group.members}
        following = (members | {each.anchor for each in people}) - reached
    return node.anchor in reached


def in_scope(node: Node) -> bool:
    """The exclusions that the tests use, in other words."""
    if node.object_type == "contact":
        return not node.deleted and bool(node.attributes.get("mail"))
    name = node.attributes.get("sAMAccountName", ("",))[0]
    marked = str(node.attributes.get("adminDescription", ("",))[0])
    prefix = "Group_" if node.object_type == "group" else "User_"
    return not node.deleted and bool(name) and not str(name).startswith("MSOL_") and not marked.startswith(prefix)


def expected(world: World, node: Node) -> dict[str, Any]:
    """The visible properties of a user, group or contact."""

    def one(name: str) -> Any:
        return node.attributes.get(name, (None,))[0]

    wanted = {
        "displayName": one("displayName") or node.name,
        "mail": one("mail"),
    }
    if node.object_type != "group":
        department = one("department")
        if world.shouts and department and node.object_type == "user":
            department = department.upper()
        wanted |= {"department": department, "givenName": one("givenName"), "surname": one("sn")}
    if node.object_type in PEOPLE:
        wanted |= {
            "onPremisesDistinguishedName": world.directory.dn(node),
            "accountEnabled": (int(one("userAccountControl") or 0) & 2) == 0,
            "userPrincipalName": one("userPrincipalName"),
        }
    return wanted


async def check(world: World) -> None:
    """Target = mapping of scope, object by object, reference by reference.

    An entry may differ only because another object holds a value that it wants; the link must say so.
    """
    directory = world.directory
    live = {node.anchor: node for node in directory.live(*ENTRIES) if in_scope(node) and is_chosen(world, node)}
    found = {**await world.users(), **await world.groups(), **await world.contacts()}
    rows = await world.rows("select anchor, state, reason, target::text, digest from links where tenant = %s")
    links = {row[0]: row[1:4] for row in rows}
    behind = {row[0] for row in rows if row[4] == b""}
    held = {
        (r[0], r[1]): r[2]
        for r in await world.rows(
            """select kind, value, owner::text from unique_values
               where tenant = %s and owner not in (select id from synchronization_accounts)"""
        )
    }
    by_key = {key(anchor): anchor for anchor in live}
    assert set(found) <= set(by_key), (
        f"never to be deleted without evidence, never to be left: {set(found) - set(by_key)}"
    )
    for anchor, node in live.items():
        state, reason, target = links[anchor]
        wanted = expected(world, node)
        if reason:
            assert reason == "AttributeValueMustBeUnique", (node.name, reason)
            keys = [("address", wanted.get("mail")), ("userPrincipalName", wanted.get("userPrincipalName"))]
            rivals = [held.get((kind, str(value).casefold())) for kind, value in keys if value]
            assert any(rival not in (None, target) for rival in rivals), f"{node.name} fails without a rival"
            continue
        assert state == "provisioned", (node.name, state)
        shown = found[key(anchor)]
        assert {name: shown.get(name) for name in wanted} == wanted, node.name
    # What a person deleted or brought back is referred to again when it could be exported.
    assert all(links[anchor][1] for anchor in behind), "only a failure keeps an object that a person deleted away"
    provisioned = {anchor for anchor in live if links[anchor][0] == "provisioned"} - behind
    assert await world.references("members") == _members(world, provisioned)
    assert await world.references("manager") == _managers(world, provisioned)
    assert not await world.rows(
        "select id from directory_objects where tenant = %s and object_type = 'contact' and deleted_at is not null"
    ), "contacts have no recycle bin"
    await check_unique_values(world, found, held)
    await check_log(world)


async def check_cloud(world: World) -> None:
    """The same of an application outside: it is the mapping of scope, and nobody was made twice.

    An entry may differ only because another object there has its sign-in name.
    """
    assert world.cloud is not None
    directory = world.directory
    live = {node.anchor: node for node in directory.live(*ENTRIES) if in_scope(node) and is_chosen(world, node)}
    found = {**await world.users(), **await world.groups(), **await world.contacts()}
    rows = await world.rows("select anchor, state, reason, target::text from links where tenant = %s")
    links = {row[0]: row[1:] for row in rows}
    made = [record.values["SourceAnchor"] for record in world.cloud.records.values()]
    assert len(made) == len(set(made)), "somebody was made twice"
    assert set(found) <= {key(anchor) for anchor in live}, "never to be left"
    holders = {str(shown.get("userPrincipalName")).casefold(): name for name, shown in found.items()}
    for anchor, node in live.items():
        state, reason, target = links[anchor]
        wanted = expected(world, node)
        if reason:
            assert reason == "Conflict", (node.name, reason)
            holder = holders.get(str(wanted.get("userPrincipalName")).casefold())
            assert holder not in {None, key(anchor)}, f"{node.name} fails without a rival"
            continue
        assert (state, found[key(anchor)]["id"]) == ("provisioned", target), node.name
        assert {name: found[key(anchor)].get(name) for name in wanted} == wanted, node.name
    provisioned = {anchor for anchor in live if links[anchor][0] == "provisioned"}
    assert await world.references("members") == _members(world, provisioned)
    assert await world.references("manager") == _managers(world, provisioned)


def _members(world: World, provisioned: Collection[str]) -> set[tuple[str, str]]:
    return {
        (key(group.anchor), key(member))
        for group in world.directory.live("group")
        for member in group.members
        if group.anchor in provisioned and member in provisioned
    } | {
        (key(str(user.primary_group)), key(user.anchor))
        for user in world.directory.live(*PEOPLE)
        if user.primary_group in provisioned and user.anchor in provisioned
    }


def _managers(world: World, provisioned: Collection[str]) -> set[tuple[str, str]]:
    return {
        (key(node.anchor), key(node.manager))
        for node in world.directory.live(*PEOPLE, "contact")
        if node.manager in provisioned and node.anchor in provisioned
    }


async def check_unique_values(world: World, found: dict[str, dict[str, Any]], held: dict[tuple[str, str], str]) -> None:
    """Every live object holds exactly its own values, and no two the same."""
    claims: dict[tuple[str, str], str] = {}
    for shown in found.values():
        keys = set()
        if shown.get("userPrincipalName"):
            keys.add(("userPrincipalName", shown["userPrincipalName"].casefold()))
        if shown.get("mail"):
            keys.add(("address", shown["mail"].casefold()))
        for address in shown.get("proxyAddresses", ()):
            if address.casefold().startswith("smtp:"):
                keys.add(("address", address[5:].casefold()))
        for one in keys:
            assert one not in claims, f"{one} twice"
            claims[one] = shown["id"]
    assert claims == held


async def check_log(world: World) -> None:
    """The log is a gapless story: each event's old value is the last event's new one."""
    story: dict[str, dict[str, str | None]] = {}
    alive: dict[str, bool] = {}
    ever_gone = getattr(world, "ever_gone", set())
    for event in await world.events():
        source = event["source"]
        if event["status"] != "success":
            continue
        if event["action"] == "delete":
            assert alive.get(source), f"deleted twice: {source}"
            assert source in ever_gone, f"deleted without evidence: {source}"
            alive[source] = False
            continue
        if event["action"] == "create":
            # Of a deleted contact nothing is left to restore: it begins anew.
            again = world.directory.nodes[source].object_type == "contact" and not alive.get(source)
            assert again or source not in alive, f"created twice: {source}"
            story[source] = {}
        alive[source] = True
        known = story.setdefault(source, {})
        for changed in event["detail"].modified:
            if changed.name in ("Member", "Manager"):
                continue
            assert known.get(changed.name) == changed.old, (source, changed, known.get(changed.name))
            assert changed.old != changed.new, ("nothing changed", source, changed)
            known[changed.name] = changed.new


__all__ = ["COMPARED", "DOMAIN", "check", "in_scope"]
