"""Filters of the schema document."""

from __future__ import annotations

import pytest

from dirbridge.connectors.ad import schema as active_directory
from dirbridge.contract.entry import Entry
from dirbridge.contract.errors import ConfigurationError, EntryError
from dirbridge.contract.schema import Filter, FilterClause, FilterGroup, FilterOperand
from dirbridge.engine.scoping import Scope, compile_filter


def clause(operator: str, *values: str, attribute: str = "a") -> FilterClause:
    return FilterClause(attribute, operator, FilterOperand(values) if values else None)


def entry(**attributes: str | bytes | tuple[str, ...]) -> Entry:
    made = {name: value if isinstance(value, tuple) else (value,) for name, value in attributes.items()}
    return Entry("anchor", "user", "Ann Lee", attributes=made)  # type: ignore[arg-type]


def written(*groups: tuple[FilterClause, ...]) -> Scope:
    """A scope that an administrator wrote."""
    return compile_filter(Filter(groups=tuple(FilterGroup(clauses) for clauses in groups)), "here")


def excluding(*groups: tuple[FilterClause, ...]) -> Scope:
    """Default exclusions."""
    return compile_filter(Filter(input_filter_groups=tuple(FilterGroup(clauses) for clauses in groups)), "here")


OPERATORS = [
    # operator, operand, values that pass, values that do not
    ("EQUALS", ("x",), ["x"], ["X", "xy", ("x", "y")]),
    ("NOT EQUALS", ("x",), ["X", "y", ("y", "z")], ["x", ("x", "y")]),
    ("IS TRUE", (), ["True", "TRUE", "true"], ["False", "1"]),
    ("IS FALSE", (), ["False", "FALSE"], ["True", "0"]),
    ("IS NULL", (), [], ["x", ("x", "y")]),
    ("IS NOT NULL", (), ["x", b"\x00"], []),
    ("REGEX MATCH", ("^User_",), ["User_1"], ["user_1", "A User_1"]),
    ("REGEX MATCH", ("b+",), ["abbc", ("x", "b")], ["ac", ("x", "y")]),
    ("REGEX MATCH", ("^a|b$",), ["ax", "xb"], ["xa", "bx"]),
    ("REGEX MATCH", ("^ab*$",), ["a", "abb"], ["b"]),
    ("REGEX MATCH", ("^ab?c",), ["ac", "abc"], ["bc"]),
    ("REGEX MATCH", ("^ab{2}",), ["abb"], ["ab"]),
    ("NOT REGEX MATCH", ("^User_",), ["user_1", "x"], ["User_1", ("x", "User_1")]),
    ("&", ("6",), ["2", "4", "7"], ["1", "8", "x"]),
    ("&", ("-2147483648",), ["-2147483646"], ["2", "4"]),
    ("!&", ("566259712",), ["1", "2147483648"], ["4096", "16777216"]),
]


@pytest.mark.parametrize(("operator", "operand", "passing", "failing"), OPERATORS)
@pytest.mark.parametrize("make", [written, excluding])
def test_operators(make, operator, operand, passing, failing) -> None:  # type: ignore[no-untyped-def]
    """Every value must pass, but for REGEX MATCH one suffices; case counts; patterns are searched, not anchored."""
    scope = make((clause(operator, *operand),))
    assert [scope(entry(a=value)).passed for value in passing] == [True] * len(passing)
    assert [scope(entry(a=value)).passed for value in failing] == [False] * len(failing)


@pytest.mark.parametrize(("operator", "operand", "passing", "failing"), OPERATORS)
def test_absent_attribute(operator, operand, passing, failing) -> None:  # type: ignore[no-untyped-def]
    """It fails every test that an administrator wrote but IS NULL; default exclusions let it pass negative ones."""
    lenient = {"IS NULL", "IS FALSE", "NOT EQUALS", "NOT REGEX MATCH", "!&"}
    assert written((clause(operator, *operand),))(entry()).passed == (operator == "IS NULL")
    assert excluding((clause(operator, *operand),))(entry()).passed == (operator in lenient)


def test_groups_and_clauses() -> None:
    """All clauses of a group, any of the groups, and both collections must hold."""
    scope = compile_filter(
        Filter(
            groups=(
                FilterGroup((clause("EQUALS", "x"), clause("EQUALS", "y", attribute="b"))),
                FilterGroup((clause("EQUALS", "z"),)),
            ),
            input_filter_groups=(FilterGroup((clause("NOT EQUALS", "no", attribute="c"),)),),
        ),
        "here",
    )
    assert scope(entry(a="x", b="y")).passed
    assert scope(entry(a="z")).passed
    assert not scope(entry(a="x")).passed
    verdict = scope(entry(a="x", b="y", c="no"))
    assert (verdict.passed, verdict.clause) == (False, "c NOT EQUALS no")


def test_no_groups_let_everything_in() -> None:
    """An empty scope is everything."""
    assert compile_filter(Filter(), "here")(entry()).passed


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (clause("LIKE", "x"), "'LIKE' is no operator"),
        (clause("EQUALS"), "takes one operand and has 0"),
        (clause("EQUALS", "a", "b"), "takes one operand and has 2"),
        (clause("REGEX MATCH", "("), "not valid"),
        (clause("&", "many"), "not valid"),
    ],
)
def test_faults_are_found_when_compiling(one: FilterClause, said: str) -> None:
    """Each names the place in the document."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        written((one,))
    assert caught.value.reason.startswith("here.groups[0].clauses[0]")


def test_pattern_that_takes_too_long_fails_the_entry() -> None:
    """A pattern that backtracks without end is stopped."""
    scope = written((clause("REGEX MATCH", r"^(a|aa|b?a)+$"),))
    with pytest.raises(EntryError, match="worked longer") as caught:
        scope(entry(a="a" * 60 + "!"))
    assert caught.value.code == "PatternTooSlow"


# What cannot be read --------------------------------------------------------------------------------------------------


def unknown(*names: str, **attributes: str) -> Entry:
    return Entry("anchor", "user", "Ann Lee", attributes={n: (v,) for n, v in attributes.items()}, unknown=names)


def test_unreadable_attribute_decides_nothing() -> None:
    """Where it alone keeps the entry out, nobody knows; where something else does, the entry is out."""
    scope = excluding((clause("IS NOT NULL"), clause("NOT EQUALS", "no", attribute="b")))
    with pytest.raises(EntryError, match="'a', which may not be read"):
        scope(unknown("a"))
    with pytest.raises(EntryError, match="'a'"):
        scope(unknown("a", "b"))
    assert not scope(unknown("a", b="no")).passed
    assert scope(unknown("b", a="x")).passed


def test_unreadable_attribute_in_one_of_several_groups() -> None:
    """Another group that holds lets the entry in; one that could hold keeps the question open."""
    scope = excluding((clause("&", "1"),), (clause("REGEX MATCH", "@", attribute="mail"),))
    assert scope(unknown("a", mail="a@b")).passed
    assert scope(unknown("mail", a="1")).passed
    with pytest.raises(EntryError):
        scope(unknown("mail", a="2"))
    assert not scope(entry(a="2")).passed


def test_damaged_attribute_decides_nothing() -> None:
    """The reason says what is wrong with the value."""
    scope = excluding((clause("IS NOT NULL"),))
    with pytest.raises(EntryError, match="holds a NUL"):
        scope(Entry("anchor", "user", "Ann Lee", faults={"a": "holds a NUL character at position 1"}))


# The default exclusions -----------------------------------------------------------------------------------------------

RULE = active_directory.default_rule()
SCOPES = {mapping.source_object_name: compile_filter(mapping.scope, mapping.name) for mapping in RULE.object_mappings}
PERSON = {"sAMAccountName": "ann", "distinguishedName": "CN=Ann Lee,DC=contoso,DC=test"}
TEAM = {"sAMAccountName": "sales", "groupType": "-2147483646", "distinguishedName": "CN=Sales,DC=contoso,DC=test"}
CONFLICT = "CN=Ann Lee\\0ACNF:6f9619ff-8b86-d011-b42d-00c04fc964ff,DC=contoso,DC=test"


@pytest.mark.parametrize("kind", ["user", "inetOrgPerson"])
@pytest.mark.parametrize(
    ("changes", "passed"),
    [
        ({}, True),
        ({"isCriticalSystemObject": "TRUE"}, False),
        ({"isCriticalSystemObject": "FALSE"}, True),
        ({"adminDescription": "User_abc"}, False),
        ({"adminDescription": "A User_abc"}, True),
        ({"sAMAccountName": ""}, False),
        ({"sAMAccountName": "SUPPORT_388945a0"}, False),
        ({"sAMAccountName": "AAD_1"}, False),
        ({"sAMAccountName": "MSOL_1"}, False),
        ({"sAMAccountName": "Xmsol_1"}, True),
        ({"sAMAccountName": "CAS_abc{1"}, False),
        ({"mailNickname": "SystemMailbox{1f05"}, False),
        ({"mailNickname": "SystemMailbox1"}, True),
        ({"mailNickname": "CAS_abc{1"}, False),
        ({"mailNickname": "ann"}, True),
        ({"msExchRecipientTypeDetails": "1"}, True),
        ({"msExchRecipientTypeDetails": "128"}, True),
        *(({"msExchRecipientTypeDetails": str(1 << bit)}, False) for bit in (12, 13, 14, 22, 23, 24, 29)),
        ({"distinguishedName": CONFLICT}, False),
    ],
)
def test_default_exclusions_of_people(kind: str, changes: dict[str, str], passed: bool) -> None:
    """Eleven clauses, all of which must hold."""
    attributes = {name: (value,) for name, value in {**PERSON, **changes}.items() if value}
    assert SCOPES[kind](Entry("anchor", kind, "Ann", attributes=attributes)).passed is passed


@pytest.mark.parametrize(
    ("changes", "passed"),
    [
        ({}, True),
        ({"isCriticalSystemObject": "TRUE"}, False),
        ({"adminDescription": "Group_abc"}, False),
        ({"adminDescription": "User_abc"}, True),
        ({"sAMAccountName": "MSOL_AD_Sync_RichCoexistence"}, False),
        ({"msExchRecipientTypeDetails": "1073741824"}, False),
        ({"distinguishedName": CONFLICT}, False),
        # A distribution group needs a mail address.
        ({"groupType": "2"}, False),
        ({"groupType": "2", "mail": "sales@contoso.test"}, True),
        ({"groupType": "2", "mail": "sales"}, False),
        ({"groupType": "2", "proxyAddresses": "SMTP:sales@contoso.test"}, True),
        ({"groupType": "2", "proxyAddresses": "X400:c=DE"}, False),
        ({"groupType": "2", "mail": "sales@contoso.test", "isCriticalSystemObject": "TRUE"}, False),
    ],
)
def test_default_exclusions_of_groups(changes: dict[str, str], passed: bool) -> None:
    """Security groups, and groups that can be written to."""
    attributes = {name: (value,) for name, value in {**TEAM, **changes}.items()}
    assert SCOPES["group"](Entry("anchor", "group", "Sales", attributes=attributes)).passed is passed


def test_second_address_of_another_kind_keeps_a_group() -> None:
    """A distribution group with an SMTP and an X500 address can be written to."""
    attributes = {
        "sAMAccountName": ("sales",),
        "groupType": ("2",),
        "proxyAddresses": ("SMTP:sales@contoso.test", "X500:/o=Contoso/cn=sales"),
    }
    assert SCOPES["group"](Entry("anchor", "group", "Sales", attributes=attributes)).passed
