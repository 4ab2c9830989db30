"""What shall become of one entry."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from dirbridge.contract.entry import Entry
from dirbridge.contract.export import Action, TargetValue
from dirbridge.contract.schema import Filter, FilterClause, FilterGroup, FilterOperand
from dirbridge.engine import mapping, provision
from dirbridge.engine.plan import Plan, compile_schema
from dirbridge.engine.provision import Broken, Inside, Outside, Unchanged
from dirbridge.engine.scoping import compile_category
from dirbridge.store.links import Link
from tests.engine.world import default_schema

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLAN = compile_schema(default_schema("job"), {"DomainFQDN": "contoso.test", "DomainNetBios": "CONTOSO"})
GUID, TARGET = UUID(int=1), UUID(int=2)


def person(kind: str = "user", **attributes: str) -> Entry:
    values = {"sAMAccountName": "ann", "cn": "Ann", "userAccountControl": "512", **attributes}
    found: dict[str, tuple[str | bytes, ...]] = {name: (value,) for name, value in values.items()}
    return Entry(str(GUID), kind, "Ann", attributes={**found, "objectGUID": (GUID.bytes_le,)})


def link(entry: Entry, state: str = "provisioned", reason: str = "", digest: bytes | None = b"") -> Link:
    """A link of this entry, whose digest is that of the entry as it is unless given."""
    if digest == b"":
        digest = mapping.apply(PLAN.rules[entry.object_type][0], entry, NOW).digest()
    return Link(entry.anchor, entry.object_type, entry.name, None, TARGET, state, reason, digest, "User")


def judge(
    entry: Entry, known: Link | None = None, *, trust: bool = True, plan: Plan = PLAN
) -> provision.Judgement | None:
    return provision.judge(plan, entry, known, NOW, placed=lambda *_: provision.EVERYWHERE, trust_digest=trust)


def test_judgements() -> None:
    """Out of scope, not to be mapped, of no mapped type, or in."""
    outside = judge(person(adminDescription="User_1"))
    assert isinstance(outside, Outside)
    assert outside.clause == "adminDescription NOT REGEX MATCH ^User_"
    broken = judge(person(userAccountControl="x"))
    assert isinstance(broken, Broken)
    assert broken.fault.details["targetAttribute"] == "AccountEnabled"
    assert judge(person("computer")) is None
    assert isinstance(judge(person()), Inside)


@pytest.mark.parametrize(
    ("state", "reason", "digest", "trust", "unchanged"),
    [
        ("provisioned", "", b"", True, True),
        ("provisioned", "", b"", False, False),
        ("provisioned", "AttributeValueMustBeUnique", b"", True, False),
        ("provisioned", "", None, True, False),
        ("provisioned", "", b"other", True, False),
        ("deprovisioned", "", b"", True, False),
        ("failed", "", b"", True, False),
    ],
)
def test_unchanged_only_where_all_was_written(
    state: str, reason: str, digest: bytes | None, trust: bool, unchanged: bool
) -> None:
    """What failed, was removed, or is not to be trusted is compared with the target."""
    entry = person()
    assert isinstance(judge(entry, link(entry, state, reason, digest), trust=trust), Unchanged) is unchanged


def test_another_source_type_is_compared_and_another_target_type_refused() -> None:
    """A user that became an inetOrgPerson is the same user; a group is not."""
    entry = person()
    assert isinstance(judge(person("inetOrgPerson"), link(entry)), Inside)
    broken = judge(msgspec.structs.replace(entry, object_type="group"), link(entry))
    assert isinstance(broken, Broken)
    assert broken.fault.code == "ObjectTypeMismatch"


def test_category_that_cannot_be_told_fails_the_entry() -> None:
    """Nobody is taken for out of scope, or by another mapping, for want of an attribute that may not be read."""
    clauses = (FilterClause("employeeType", "EQUALS", FilterOperand(("Staff",))),)
    category = compile_category(Filter(category_filter_groups=(FilterGroup(clauses),)), "here")
    rule = msgspec.structs.replace(PLAN.rules["user"][0], category=category)
    plan = msgspec.structs.replace(PLAN, rules={"user": (rule,)})
    for entry, kind in (
        (person(employeeType="Staff"), Inside),
        (person(employeeType="Guest"), Outside),
        (msgspec.structs.replace(person(), unknown=("employeeType",)), Broken),
    ):
        assert isinstance(judge(entry, plan=plan), kind), entry


@pytest.mark.parametrize("name", ["a\x00b", "a\ud800b"])
def test_damaged_name(name: str) -> None:
    """An entry whose name cannot be kept fails, and is named in a form that can."""
    broken = judge(msgspec.structs.replace(person(), name=name))
    assert isinstance(broken, Broken)
    assert "\x00" not in broken.entry.name
    broken.entry.name.encode()


def inside(**attributes: str) -> Inside:
    found = judge(person(**attributes))
    assert isinstance(found, Inside)
    return found


def present(**changes: TargetValue) -> dict[str, TargetValue]:
    """The target object as it would be, with some values changed."""
    return {**inside().mapped.values, **changes}


def test_create_where_there_is_nothing() -> None:
    """With all values."""
    step = provision.decide(inside(title="Clerk"), None, None, matched=False)
    assert step.export is not None
    assert (step.export.action, step.export.target) == (Action.CREATE, None)
    assert step.export.wanted["Title"] == "Clerk"


@pytest.mark.parametrize(
    ("attributes", "at_target", "matched", "action", "changes", "restore"),
    [
        ({}, {}, False, None, {}, False),
        ({"title": "Clerk"}, {}, False, Action.UPDATE, {"Title": "Clerk"}, False),
        ({}, {"Title": "Clerk"}, False, Action.UPDATE, {"Title": None}, False),
        # A matched object is taken over even where nothing differs, and disabled without a review.
        ({}, {}, True, Action.UPDATE, {}, False),
        ({"userAccountControl": "514"}, {}, True, Action.UPDATE, {"AccountEnabled": False}, False),
        # One in the recycle bin comes back.
        ({}, {"IsSoftDeleted": True}, False, Action.UPDATE, {}, True),
        ({"userAccountControl": "514"}, {"IsSoftDeleted": True}, False, Action.UPDATE, {"AccountEnabled": False}, True),
        ({"userAccountControl": "514"}, {}, False, Action.DISABLE, {"AccountEnabled": False}, False),
        ({}, {"AccountEnabled": False}, False, Action.UPDATE, {"AccountEnabled": True}, False),
        (
            {"userAccountControl": "514"},
            {"AccountEnabled": None},
            False,
            Action.UPDATE,
            {"AccountEnabled": False},
            False,
        ),
    ],
)
def test_decide(attributes, at_target, matched, action, changes, restore) -> None:  # type: ignore[no-untyped-def]
    """Only what differs; a disable is one only where the account is active now."""
    step = provision.decide(inside(**attributes), str(TARGET), present(**at_target), matched=matched)
    if action is None:
        assert step.export is None
        return
    assert step.export is not None
    assert (step.export.action, step.export.wanted, step.export.restore) == (action, changes, restore)
    assert step.disables is (action is Action.DISABLE)


def test_a_disable_is_parted_from_the_rest() -> None:
    """Each part says that it is one; a disable alone has no rest."""
    step = provision.decide(inside(userAccountControl="514", title="Clerk"), str(TARGET), present(), matched=False)
    alone, rest = provision.disable_alone(step), provision.without_disable(step)
    assert rest is not None
    assert alone.export is not None
    assert rest.export is not None
    assert (alone.export.action, alone.export.wanted, alone.partial) == (
        Action.DISABLE,
        {"AccountEnabled": False},
        True,
    )
    assert (rest.export.action, rest.export.wanted, rest.partial) == (Action.UPDATE, {"Title": "Clerk"}, True)
    whole = provision.decide(inside(userAccountControl="514"), str(TARGET), present(), matched=False)
    assert provision.without_disable(whole) is None
    assert provision.disable_alone(whole).partial is False


@pytest.mark.parametrize(
    ("flows", "creates", "updates", "matches"),
    [({"Add", "Update", "Delete"}, True, True, True), ({"Update"}, False, True, False), ({"Add"}, True, False, True)],
)
def test_flow_types(flows: set[str], creates: bool, updates: bool, matches: bool) -> None:
    """Taking over an object that exists counts as adding it."""
    one = inside(title="Clerk")
    one = msgspec.structs.replace(one, rule=msgspec.structs.replace(one.rule, actions=frozenset(flows)))
    assert provision.allowed(provision.decide(one, None, None, matched=False)) is creates
    assert provision.allowed(provision.decide(one, str(TARGET), present(), matched=False)) is updates
    assert provision.allowed(provision.decide(one, str(TARGET), present(), matched=True)) is matches
