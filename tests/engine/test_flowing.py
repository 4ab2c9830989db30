"""What an expression says of a value's flow: kept out of the log, left alone, cleared, or made by time and chance."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.contract.entry import Entry
from dirbridge.contract.errors import ConfigurationError, EntryError
from dirbridge.contract.schema import Schema
from dirbridge.engine import expressions, mapping
from dirbridge.engine.functions.values import boolean_text
from dirbridge.engine.mapping import Mapped
from dirbridge.engine.plan import Plan, compile_schema
from dirbridge.engine.redaction import Veil
from dirbridge.store import jobs
from tests.engine.world import World, default_schema, key

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MACROS = {"DomainFQDN": "contoso.test", "DomainNetBios": "CONTOSO"}
ANN, BOB = anchor_of(0), anchor_of(1)


def remapped(schema: Schema, **rows: str | dict[str, Any]) -> Schema:
    """A schema document with rows of its first mapping changed: to an expression, or in what is given."""
    document = msgspec.to_builtins(schema)
    for row in document["synchronizationRules"][0]["objectMappings"][0]["attributeMappings"]:
        change = rows.get(row["targetAttributeName"])
        if isinstance(change, str):
            change = {"source": msgspec.to_builtins(expressions.parse(change))}
        row.update(change or {})
    return msgspec.convert(document, Schema)


def compiled(taken: tuple[str, ...] | None = None, **rows: str | dict[str, Any]) -> Plan:
    """The default plan with rows changed, for a target that can be asked where something is taken."""
    is_free = None if taken is None else lambda value: value not in taken
    here = expressions.Environment(lambda: NOW, random.Random(7), "contoso.test", is_free)
    return compile_schema(remapped(default_schema("job"), **rows), MACROS, here)


def mapped(plan: Plan, **attributes: str) -> Mapped:
    values = {"objectGUID": UUID(int=1).bytes_le, "sAMAccountName": "ann", "cn": "Ann", **attributes}
    entry = Entry("1", "user", "Ann", attributes={n: (v,) for n, v in values.items()}, references={"manager": (BOB,)})
    return mapping.apply(plan.rules["user"][0], entry, NOW)


# Left alone, cleared --------------------------------------------------------------------------------------------------


def test_ignore_flow_leaves_the_attribute_out() -> None:
    """Where there is nothing, or nothing but an empty text, the attribute is neither written nor cleared."""
    plan = compiled(Title="IgnoreFlowIfNullOrEmpty([title])", City="IgnoreFlowIfNullOrEmpty(Trim([l]))")
    found = mapped(plan, l="  ")
    assert found.held == {"Title", "City"}
    assert not found.held & found.values.keys()
    found = mapped(plan, title="Clerk", l="Rome")
    assert (found.held, found.values["Title"], found.values["City"]) == (frozenset(), "Clerk", "Rome")


def test_ignore_flow_anywhere_leaves_the_whole_attribute_out() -> None:
    """Only the branch that is taken counts."""
    plan = compiled(Title='IIF([c]="DE", Join(" ", "Dr.", IgnoreFlowIfNullOrEmpty([title])), "None")')
    assert mapped(plan, c="DE").held == {"Title"}
    assert mapped(plan, c="DE", title="Lee").values["Title"] == "Dr. Lee"
    assert mapped(plan).values["Title"] == "None"


def test_ignore_flow_keeps_the_default_value_back() -> None:
    """A new object does not get it either."""
    row = {"source": msgspec.to_builtins(expressions.parse("IgnoreFlowIfNullOrEmpty([title])")), "defaultValue": "X"}
    found = mapped(compiled(Title=row))
    assert (found.held, "Title" in found.values) == ({"Title"}, False)


def test_empty_text_clears() -> None:
    """An expression that is empty, or gives nothing else, has no value, so what is there goes."""
    plan = compiled(Title='""', City='IIF(IsPresent([l]), [l], "")', State='Switch([st], , "x", "y")')
    found = mapped(plan, title="Clerk", st="z")
    assert not {"Title", "City", "State"} & (found.values.keys() | found.held)


async def test_ignored_attribute_keeps_its_value_at_the_target(world: World) -> None:
    """What was written stays when the source loses it; an ordinary mapping clears."""
    schema = (await world.state()).document()
    async with world.database.transaction() as conn:
        changed = remapped(schema, Title="IgnoreFlowIfNullOrEmpty([title])")
        await jobs.set_schema(conn, world.tenant, world.job, changed)
    world.person(ANN, "Ann Lee", title="Clerk", l="Rome")
    await world.cycle()
    world.directory.set(ANN, "title")
    world.directory.set(ANN, "l")
    await world.cycle()
    ann = (await world.users())[key(ANN)]
    assert (ann.get("jobTitle"), ann.get("city")) == ("Clerk", None)
    before = await world.fingerprint()
    await world.cycle()
    assert await world.fingerprint() == before


# Out of the log -------------------------------------------------------------------------------------------------------


async def test_redacted_values_flow_and_are_not_logged(world: World) -> None:
    """The object has the value; the log shows that there was one, before and after."""
    schema = (await world.state()).document()
    async with world.database.transaction() as conn:
        changed = remapped(schema, Title="Redact(Trim([title]))", City='Join("", "in ", Redact([l]))')
        await jobs.set_schema(conn, world.tenant, world.job, changed)
    world.person(ANN, "Ann Lee", title="Clerk", l="Rome")
    await world.cycle()
    world.directory.set(ANN, "title", "Boss")
    world.directory.set(ANN, "l")
    world.directory.set(ANN, "department", "Sales")
    await world.cycle()
    ann = (await world.users())[key(ANN)]
    assert (ann["jobTitle"], ann["city"]) == ("Boss", "in ")
    made, changed_event = await world.events()
    logged = {each.name: (each.old, each.new) for each in made["detail"].modified}
    assert (logged["Title"], logged["City"]) == ((None, "[Redact]"), (None, "[Redact]"))
    logged = {each.name: (each.old, each.new) for each in changed_event["detail"].modified}
    assert logged == {
        "Title": ("[Redact]", "[Redact]"), "City": ("[Redact]", "[Redact]"), "Department": (None, "Sales"),
    }  # fmt: skip


async def test_redacted_value_that_is_refused_is_not_logged_either(world: World) -> None:
    """The target's error names the value; the log's does not, nor the value's other spelling."""
    schema = (await world.state()).document()
    async with world.database.transaction() as conn:
        await jobs.set_schema(
            conn, world.tenant, world.job, remapped(schema, UserPrincipalName="Redact([userPrincipalName])")
        )
    world.person(ANN, "Ann Lee")
    await world.cycle()
    world.person(BOB, "Bob Ray", userPrincipalName="ANN.lee@contoso.test")
    await world.cycle()
    (event,) = [e for e in await world.events() if e["status"] == "failure"]
    assert event["reason"] == "AttributeValueMustBeUnique"
    assert "[Redact]" in event["detail"].fault.reason
    assert "ann.lee@" not in str(event["detail"].fault).lower()


async def test_redacted_value_that_two_entries_have_is_not_logged(world: World) -> None:
    """Matching names the attribute and the other entry, not the value."""
    schema = (await world.state()).document()
    redacted = "IIF(IsPresent([mS-DS-ConsistencyGuid]), Redact([mS-DS-ConsistencyGuid]), [objectGUID])"
    async with world.database.transaction() as conn:
        await jobs.set_schema(conn, world.tenant, world.job, remapped(schema, SourceAnchor=redacted))
    world.person(ANN, "Ann Lee", mS_DS_ConsistencyGuid=b"secretsecret....")
    world.person(BOB, "Bob Ray", mS_DS_ConsistencyGuid=b"secretsecret....")
    await world.cycle()
    (event,) = [e for e in await world.events() if e["status"] == "failure"]
    fault = event["detail"].fault
    assert "'Bob Ray' has the same 'SourceAnchor' as 'Ann Lee': '[Redact]'" in fault.reason
    assert "c2VjcmV0" not in str(fault)


def test_error_of_a_redacted_attribute_shows_no_value() -> None:
    """What a function says of a value that it cannot work with is left out, the attribute's name is not."""
    plan = compiled(CountryCode="Redact([countryCode])", Title="Redact(BitAnd([title], 1))")
    with pytest.raises(EntryError) as caught:
        mapped(plan, title="secret")
    assert "'Title' of 'Ann' cannot be worked out: [Redact]." in caught.value.reason
    with pytest.raises(EntryError) as caught:
        mapped(plan, countryCode="secret", title="1")
    assert "secret" not in str(caught.value) + str(caught.value.details)


def test_veil_takes_whole_values_out() -> None:
    """In any case of letters, the longest first, several values each; not out of the middle of a word."""
    veil = Veil({"A", "B"}, {"A": "Ann", "B": ("Anna", "x.y"), "C": "is"}, {"A": 12, "B": None})
    assert veil.over("ANN is Anna, not Annabel; X.Y, xzy, 12, 121") == (
        "[Redact] is [Redact], not Annabel; [Redact], xzy, [Redact], 121"
    )
    assert Veil((), {"A": "Ann"}).over("Ann") == "Ann"
    assert Veil({"A"}, {"A": True}, {"A": ""}).over("True") == "True"


# From outside ---------------------------------------------------------------------------------------------------------


def test_time_domain_and_chance_are_handed_in() -> None:
    """The clock, the tenant's default domain, and where random text comes from."""
    plan = compiled(Title="Now()", City='Join("@", [cn], DefaultDomain())', State="RandomString(12, 3, 0, 3, 3)")
    found = mapped(plan).values
    assert (found["Title"], found["City"]) == ("3/1/2026 12:00:00 PM", "Ann@contoso.test")
    assert found["State"] != mapped(plan).values["State"]


async def test_cycle_knows_clock_and_default_domain(world: World) -> None:
    """What the engine is given reaches the functions."""
    schema = (await world.state()).document()
    async with world.database.transaction() as conn:
        row = {"source": msgspec.to_builtins(expressions.parse("CDate(Now())")), "flowType": "ObjectAddOnly"}
        changed = remapped(schema, Title=row, City="DefaultDomain()")
        await jobs.set_schema(conn, world.tenant, world.job, changed)
    world.person(ANN, "Ann Lee")
    await world.cycle()
    ann = (await world.users())[key(ANN)]
    assert (ann["jobTitle"], ann["city"]) == ("3/1/2026 12:00:00 PM", "contoso.test")


def test_references_can_be_asked_for() -> None:
    """An expression sees the anchor at a reference's other end, and that there is none."""
    plan = compiled(Title="IsPresent([manager])", City="CStr([manager])")
    assert (mapped(plan).values["Title"], mapped(plan).values["City"]) == ("True", BOB)


# Unique values --------------------------------------------------------------------------------------------------------

UNIQUE = 'SelectUniqueValue([cn], Append([cn], "1"), Append([cn], "2"))'


def unique(**change: Any) -> dict[str, Any]:
    source = msgspec.to_builtins(expressions.parse(UNIQUE))
    return {"source": source, "flowType": "ObjectAddOnly", **change}


@pytest.mark.parametrize(
    ("taken", "change", "said"),
    [
        (None, {}, "needs a target that can be asked"),
        ((), {"matchingPriority": 2}, "by which objects are matched"),
        ((), {"flowType": "Always"}, "for new objects only"),
    ],
)
def test_select_unique_value_is_refused_where_it_cannot_work(
    taken: tuple[str, ...] | None, change: dict[str, Any], said: str
) -> None:
    """The tenant cannot be asked; and it makes no value to match by, nor one for objects that exist."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        compiled(taken, Alias=unique(**change))
    assert "attributeMappings[" in caught.value.reason
    assert caught.value.recommended_action


def test_select_unique_value_stands_outermost() -> None:
    """In a tree as in text."""
    inner = msgspec.to_builtins(expressions.parse(UNIQUE))
    source = {"type": "Function", "name": "Trim", "parameters": [{"key": "source", "value": inner}]}
    with pytest.raises(ConfigurationError, match="within another call"):
        compiled((), Alias={"source": source, "flowType": "ObjectAddOnly"})


@pytest.mark.parametrize(("taken", "value"), [((), "Ann"), (("Ann",), "Ann1"), (("Ann", "Ann1"), "Ann2")])
def test_first_free_value_wins(taken: tuple[str, ...], value: str) -> None:
    """Rules are tried in order, and the value flows on creation."""
    found = mapped(compiled(taken, Alias=unique()))
    assert (found.values["Alias"], "Alias" in found.on_create) == (value, True)


def test_no_free_value_fails_the_entry() -> None:
    """It is set aside, with a reason that names what was tried last."""
    with pytest.raises(EntryError, match=r"All 3 values .* 'Ann2'") as caught:
        mapped(compiled(("Ann", "Ann1", "Ann2"), Alias=unique()))
    assert caught.value.code == "NoUniqueValue"


def test_members_are_no_value_of_an_expression() -> None:
    """They come apart from their group."""
    with pytest.raises(ConfigurationError) as caught:
        compiled(Title="Count([member])")
    assert any("members come apart" in told for told in caught.value.details.values())


def test_time_goes_on_between_two_entries() -> None:
    """`Now` is asked for each entry."""
    moments = iter([NOW, NOW + timedelta(seconds=1)])
    here = expressions.Environment(lambda: next(moments), random.Random(7), "")
    plan = compile_schema(remapped(default_schema("job"), Title="Now()"), MACROS, here)
    assert [mapped(plan).values["Title"] for _ in range(2)] == ["3/1/2026 12:00:00 PM", "3/1/2026 12:00:01 PM"]


# Booleans -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["TRUE", "true", "True"])
def test_booleans_of_the_directory_are_those_of_the_language(written: str) -> None:
    """A directory writes `TRUE`; comparisons and Not see `True`. Other attributes stay as they are."""
    plan = compiled(
        Title='IIF([msExchHideFromAddressLists]="True", "hidden", "shown")',
        City="Not([msExchHideFromAddressLists])",
        State="Trim([st])",
        Company="[msExchHideFromAddressLists]",
    )
    found = mapped(plan, msExchHideFromAddressLists=written, st="TRUE").values
    assert (found["Title"], found["City"], found["State"]) == ("hidden", "False", "TRUE")
    assert found["MSExchHideFromAddressLists"] is True
    assert mapped(plan, msExchHideFromAddressLists="FALSE").values["Title"] == "shown"
    assert [boolean_text(value) for value in ("1", "", "TRUE ", b"TRUE")] == ["1", "", "TRUE ", b"TRUE"]
