"""Users, groups, contacts and the recycle bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dirbridge.service.graph import (
    collections,
    deleted_items,
    delta_options,
    expansions,
    groups,
    member_groups,
    membership,
    objects,
    odata,
    sync_behavior,
    users,
)
from dirbridge.service.openapi.directory_objects import ANY, COMPONENTS
from dirbridge.service.openapi.operations import (
    Body,
    Operation,
    Options,
    Table,
    Variants,
    acts,
    answers,
    counts,
    gives,
    lists,
    makes,
    refused,
)
from dirbridge.service.openapi.shapes.tenant import OnPremisesSyncBehavior

USER, GROUP, CONTACT = (COMPONENTS[kind] for kind in ("user", "group", "contact"))

_EVERY_NAME = sorted({name for names in objects.ALL.values() for name in names})
_COUNT = counts(Options(frozenset({"filter", "search"}), eventual=True))
_REFERENCES = lists("ObjectReference", Options(frozenset({"top", "skiptoken", "count"})))


def _names(kind: str | None) -> Sequence[str]:
    return _EVERY_NAME if kind is None else objects.ALL[kind]


def _list(kind: str | None, orders: Sequence[str] = (), *, expands: bool = False) -> Operation:
    names = odata.LIST | {"search"} if orders else odata.LIST - {"orderby"} | {"search"}
    relations = [each.value for each in expansions.RELATIONS[kind]] if kind and expands else []
    asked = Options(
        names | {"expand"} if relations else names,
        select=_names(kind), extensible=True, orders=[str(each) for each in orders], relations=relations, eventual=True,
    )  # fmt: skip
    return lists(COMPONENTS[kind] if kind else ANY, asked)


def _one(kind: str | None, *, expands: bool = False) -> Operation:
    relations = [each.value for each in expansions.RELATIONS[kind]] if kind and expands else []
    asked = Options(
        odata.ITEM | {"expand"} if relations else odata.ITEM, select=_names(kind), extensible=True, relations=relations
    )
    return gives(COMPONENTS[kind] if kind else ANY, asked)


def _known(kind: str) -> Operation:
    return replace(_one(kind, expands=True), otherwise={304: None}, asks=("If-None-Match",))


def _made(of: str, body: Body) -> Operation:
    return makes(of, body, otherwise={204: None}, asks=("Prefer",), refusals=(409,))


def _changed(of: str, body: type) -> Operation:
    return acts(body, otherwise={200: of}, asks=("If-Match", "Prefer"), refusals=(409,))


def _delta(kind: str | None, links: Sequence[str]) -> Operation:
    asked = Options(
        frozenset({"select", "filter", "expand", "deltatoken", "skiptoken", "format"}),
        select=[*_names(kind), *links], extensible=True, relations=links, most=delta_options.MAX_SIZE, prefer=True,
    )  # fmt: skip
    return lists((COMPONENTS[kind] if kind else ANY) + "Delta", asked, refusals=(410, 501))


def _related(name: str) -> Table:
    """What a relation to several objects answers: any of them, those of a type, their number, their addresses."""
    cast = Variants(
        "cast",
        {
            **{
                f"graph.{graph}": _list(kind, collections.LIVE_ORDERS[kind])
                for kind, graph in objects.GRAPH_TYPES.items()
            },
            "$count": _COUNT,
            "$ref": _REFERENCES,
        },
    )
    return {name: _list(None, collections.RELATED_ORDERS), f"{name}/{{cast}}": cast}


_NEW_USER = Body(users.UserChange, required=users.REQUIRED, name="NewUser")
_NEW_GROUP = Body(groups.GroupChange, required=groups.REQUIRED, name="NewGroup")
_MANAGER = {"get_manager": _one(None), "get_manager_reference": gives("ObjectReference", None)}

USERS: Table = {
    "graph.me.me": _one("user"),
    "graph.users.list_users": _list("user", collections.LIVE_ORDERS["user"], expands=True),
    "graph.users.count_users": _COUNT,
    "graph.users.create_user": _made(USER, _NEW_USER),
    "graph.users.get_user": _known("user"),
    "graph.users.update_user": _changed(USER, users.UserChange),
    "graph.users.delete_user": acts(asks=("If-Match",)),
    **{f"graph.users.{name}": operation for name, operation in _MANAGER.items()},
    **_related("graph.users.direct_reports"),
    **_related("graph.users.member_of"),
    **_related("graph.users.transitive_member_of"),
    **_related("graph.users.owned_objects"),
    "graph.membership.set_manager": acts(membership.Address),
    "graph.membership.remove_manager": acts(),
    "graph.sync_behavior.get_of_user": gives(OnPremisesSyncBehavior, Options(odata.ITEM)),
    "graph.sync_behavior.change_of_user": acts(sync_behavior.SyncBehavior),
    "graph.delta.users_delta": _delta("user", ["manager"]),
}
GROUPS: Table = {
    "graph.groups.list_groups": _list("group", collections.LIVE_ORDERS["group"], expands=True),
    "graph.groups.count_groups": _COUNT,
    "graph.groups.create_group": _made(GROUP, _NEW_GROUP),
    "graph.groups.get_group": _known("group"),
    "graph.groups.update_group": _changed(GROUP, groups.GroupChange),
    "graph.groups.delete_group": acts(asks=("If-Match",)),
    **_related("graph.groups.members"),
    **_related("graph.groups.transitive_members"),
    **_related("graph.groups.member_of"),
    **_related("graph.groups.transitive_member_of"),
    "graph.groups.get_object": _one(None),
    "graph.groups.get_by_ids": answers(ANY, groups.Wanted, many=True),
    "graph.membership.add_member": acts(membership.Address),
    "graph.membership.remove_member": acts(),
    "graph.membership.refuse_member_delete": refused(405),
    **_related("graph.groups.owners"),
    "graph.membership.add_owner": acts(membership.Address),
    "graph.membership.remove_owner": acts(),
    "graph.member_groups.get_member_groups": answers("Id", member_groups.WantedGroups, many=True),
    "graph.member_groups.get_member_objects": answers("Id", member_groups.WantedGroups, many=True),
    "graph.member_groups.check_member_groups": answers("Id", member_groups.CheckedGroups, many=True),
    "graph.member_groups.check_member_objects": answers("Id", member_groups.CheckedObjects, many=True),
    "graph.sync_behavior.get_of_group": gives(OnPremisesSyncBehavior, Options(odata.ITEM)),
    "graph.sync_behavior.change_of_group": acts(sync_behavior.SyncBehavior),
    "graph.delta.groups_delta": _delta("group", ["members"]),
    "graph.delta.objects_delta": _delta(None, ["members", "manager"]),
}
CONTACTS: Table = {
    "graph.contacts.list_contacts": _list("contact", collections.LIVE_ORDERS["contact"], expands=True),
    "graph.contacts.count_contacts": _COUNT,
    "graph.contacts.get_contact": _known("contact"),
    **{f"graph.contacts.{name}": operation for name, operation in _MANAGER.items()},
    **_related("graph.contacts.direct_reports"),
    **_related("graph.contacts.member_of"),
    **_related("graph.contacts.transitive_member_of"),
    "graph.delta.contacts_delta": _delta("contact", ["manager"]),
}

_BINNED = {f"graph.{kind}": _list(kind, orders) for kind, orders in collections.DELETED_ORDERS.items()}

DELETED: Table = {
    "graph.deleted_items.get_or_list": Variants("key", _BINNED, otherwise=_one(None)),
    "graph.deleted_items.count": Variants("cast", dict.fromkeys(_BINNED, _COUNT)),
    "graph.deleted_items.restore": Operation(
        answer=ANY, body=Body(deleted_items.Restoring, optional=True), refusals=(409,)
    ),
    "graph.deleted_items.purge": acts(),
}
