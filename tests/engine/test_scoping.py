"""Filters of the schema document."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirbridge.connectors.ad import schema as active_directory
from dirbridge.contract.entry import Entry
from dirbridge.contract.errors import ConfigurationError, EntryError
from dirbridge.contract.schema import Filter, FilterClause, FilterGroup, FilterOperand
from dirbridge.engine.scoping import Scope, compile_category, compile_filter, explain


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
    ("!&", ("566259712",), ["1", "2147483648"], ["4096", "16777216", "x", ("1", "x")]),
    ("GREATER_THAN", ("5",), ["6", "10", ("6", "7")], ["5", "4", "-6", "six", "5.5", ("6", "5"), b"6"]),
    ("GREATER_THAN_OR_EQUALS", ("5",), ["5", "6"], ["4", "five"]),
    ("GREATER_THAN", ("-2",), ["-1", "0"], ["-2", "-3"]),
    ("INCLUDES", ("ell",), ["hello", ("x", "bell")], ["hELLo", "hel", ("x", "y"), b"hello"]),
    (
        "ENDS_WITH",
        ("@contoso.test",),
        ["ann@contoso.test"],
        ["ann@Contoso.test", "contoso.test", ("a@contoso.test", "x")],
    ),
    ("EQUALS", ("7",), ["7"], ["07", "7.0", b"7"]),
    ("IS TRUE", (), ["TRUE", ("True", "true")], [("True", "False"), "yes", b"True"]),
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
    filters = Filter(category_filter_groups=(FilterGroup((clause(operator, *operand),)),))
    assert compile_category(filters, "here")(entry()).passed == (operator in lenient)
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
        (clause("LIKE", "x"), "'LIKE' is no operator.*Use one of EQUALS, NOT EQUALS"),
        (clause("IS_MEMBER_OF", "x"), "'IS_MEMBER_OF' is no operator.*groupFilter"),
        (clause("PRESENT"), "'PRESENT' is no operator.*IS NOT NULL"),
        (clause("IS TRUE", "x"), "takes no operand and has 1"),
        (clause("GREATER_THAN", "2024-01-01"), "not valid.*no whole number"),
        (clause("EQUALS"), "takes one operand and has 0"),
        (clause("EQUALS", "a", "b"), "takes one operand and has 2"),
        (clause("REGEX MATCH", "("), "not valid"),
        (clause("NOT REGEX MATCH", "(a{30000}){30000}"), "not valid.*repetitions written out"),
        (clause("&", "many"), "not valid"),
    ],
)
def test_faults_are_found_when_compiling(one: FilterClause, said: str) -> None:
    """Each names the place in the document."""
    with pytest.raises(ConfigurationError) as caught:
        written((one,))
    assert re.search(said, str(caught.value))
    assert caught.value.reason.startswith("here.groups[0].clauses[0]")


@pytest.mark.parametrize(
    ("name", "below"),
    [
        ("OU=Sales,DC=contoso,DC=test", True),
        ("CN=Ann,OU=Sales,DC=contoso,DC=test", True),
        ("CN=Ann,ou=sales,dc=Contoso,dc=test", True),
        ("CN=Ann,OU=Pre-OU=Sales,DC=contoso,DC=test", False),
        ("CN=Ann\\,OU=Sales,DC=contoso,DC=test", False),
        ("CN=Ann\\\\,OU=Sales,DC=contoso,DC=test", True),
        ("CN=Ann,OU=Wholesales,DC=contoso,DC=test", False),
        ("DC=test", False),
    ],
)
def test_distinguished_name_ends_with_whole_components(name: str, below: bool) -> None:
    """Letter case does not count in it, and no other attribute is compared so."""
    scope = written((clause("ENDS_WITH", "OU=Sales,DC=contoso,DC=test", attribute="distinguishedName"),))
    assert scope(entry(distinguishedName=name)).passed is below


@pytest.mark.parametrize(
    ("operand", "name", "below"),
    [
        (" OU=Sales , DC=contoso,  DC=test ", "CN=Ann,OU=Sales,DC=contoso,DC=test", True),
        ("OU=Sales\\, East, DC=test", "CN=Ann,OU=Sales\\, East,DC=test", True),
        ("OU=Sales\\ , DC=test", "CN=Ann,OU=Sales\\ ,DC=test", True),
        ("OU=Sales, DC=test", "CN=Ann,OU=Sales\\, DC=test", False),
    ],
)
def test_blanks_between_components_say_nothing(operand: str, name: str, below: bool) -> None:
    """A name written with them is the same name; blanks within a value are its own."""
    scope = written((clause("ENDS_WITH", operand, attribute="distinguishedName"),))
    assert scope(entry(distinguishedName=name)).passed is below


@pytest.mark.parametrize("name", ["GREATER_THAN", "Greater_Than", "greater than"])
def test_operators_are_known_in_several_spellings(name: str) -> None:
    """The portal's, the API's and people's."""
    assert written((clause(name, "5"),))(entry(a="6")).passed


def test_pattern_that_takes_too_long_fails_the_entry() -> None:
    """A pattern that backtracks without end is stopped."""
    scope = written((clause("REGEX MATCH", r"^(a|aa|b?a)+$"),))
    with pytest.raises(EntryError, match="worked longer") as caught:
        scope(entry(a="a" * 60 + "!"))
    assert caught.value.code == "PatternTooSlow"


def test_alternatives_after_a_line_break_count() -> None:
    """A pattern's beginning dismisses no value that another alternative takes."""
    assert written((clause("REGEX MATCH", "^ab\n|c"),))(entry(a="c")).passed


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


# Laws -----------------------------------------------------------------------------------------------------------------

_NAMES = st.sampled_from(["a", "b", "c"])
_TEXTS = st.sampled_from(["", "x", "y", "xy", "User_1", "5", "6", "True", "FALSE"])
_CLAUSES = st.one_of(
    st.builds(clause, st.sampled_from(["IS NULL", "IS NOT NULL", "IS TRUE", "IS FALSE"]), attribute=_NAMES),
    st.builds(
        clause,
        st.sampled_from(["EQUALS", "NOT EQUALS", "INCLUDES", "ENDS_WITH", "REGEX MATCH", "NOT REGEX MATCH"]),
        st.sampled_from(["x", "xy", "User_", "5"]),
        attribute=_NAMES,
    ),
    st.builds(
        clause,
        st.sampled_from(["GREATER_THAN", "GREATER_THAN_OR_EQUALS", "&", "!&"]),
        st.sampled_from(["0", "5", "-1"]),
        attribute=_NAMES,
    ),
)
_ENTRIES = st.dictionaries(_NAMES, st.lists(_TEXTS.filter(bool), min_size=1, max_size=3).map(tuple)).map(
    lambda attributes: entry(**attributes)
)
_GROUPS = st.lists(st.lists(_CLAUSES, max_size=3).map(tuple), min_size=1, max_size=3)
_MAKERS = st.sampled_from([written, excluding])


@given(_MAKERS, _GROUPS, _ENTRIES)
def test_groups_are_alternatives_of_conjunctions(
    make: Callable[..., Scope], groups: list[tuple[FilterClause, ...]], one: Entry
) -> None:
    """In scope is who passes all clauses of any group, in whatever order they stand."""
    expected = any(all(make((each,))(one).passed for each in group) for group in groups)
    assert make(*groups)(one).passed is expected
    assert make(*reversed([tuple(reversed(group)) for group in groups]))(one).passed is expected


@given(_MAKERS, _GROUPS, _CLAUSES, _ENTRIES)
def test_another_clause_narrows_and_another_group_widens(
    make: Callable[..., Scope], groups: list[tuple[FilterClause, ...]], more: FilterClause, one: Entry
) -> None:
    """Nobody enters by a further clause, and nobody leaves by a further group."""
    before = make(*groups)(one).passed
    assert make(*[(*group, more) for group in groups])(one).passed <= before
    assert make(*groups, (more,))(one).passed >= before


@given(_MAKERS, st.sampled_from(["x", "^User_", "^x?$", "5|6", "[a-z]+$"]), _ENTRIES)
def test_not_regex_match_is_the_opposite(make: Callable[..., Scope], pattern: str, one: Entry) -> None:
    """Of a value that is there, exactly one of the two holds."""
    holds = [make((clause(name, pattern),))(one).passed for name in ("REGEX MATCH", "NOT REGEX MATCH")]
    if "a" in one.attributes:
        assert holds.count(True) == 1
    else:
        assert holds == [False, make is excluding]


@given(_GROUPS, _GROUPS, _ENTRIES)
def test_explanation_agrees_with_the_verdict(
    first: list[tuple[FilterClause, ...]], second: list[tuple[FilterClause, ...]], one: Entry
) -> None:
    """Of every collection, some group has only clauses that passed: then and only then the entry is in scope."""
    scope = compile_filter(
        Filter(
            groups=tuple(FilterGroup(clauses, str(n)) for n, clauses in enumerate(first)),
            input_filter_groups=tuple(FilterGroup(clauses, str(n)) for n, clauses in enumerate(second)),
        ),
        "here",
    )
    failed = {(each.collection, each.group) for each in explain(scope, one) if not each.passed}
    passed = all(
        any((name, str(n)) not in failed for n in range(len(groups)))
        for name, groups in (("groups", first), ("inputFilterGroups", second))
    )
    assert scope(one).passed is passed


def test_explanation_of_every_clause() -> None:
    """Attribute, operator, operand, values met, and why a clause could not be asked."""
    scope = compile_filter(
        Filter(
            groups=(
                FilterGroup((clause("GREATER_THAN", "5"), clause("IS TRUE", attribute="b")), "first"),
                FilterGroup((clause("REGEX MATCH", "^(a|aa|b?a)+$", attribute="c"), clause("IS NULL", attribute="e"))),
            ),
            input_filter_groups=(FilterGroup((clause("NOT EQUALS", "x", attribute="d"),)),),
        ),
        "here",
    )
    one = msgspec.structs.replace(entry(a=("7", "six"), b=b"\x01\x02", c="a" * 60 + "!"), unknown=("f",))
    found = [msgspec.structs.astuple(each) for each in explain(scope, one)]
    assert found == [
        ("inputFilterGroups", "1", "d", "NOT EQUALS", "x", (), True, ""),
        ("groups", "first", "a", "GREATER_THAN", "5", ("7", "six"), False, "'six' is no whole number"),
        ("groups", "first", "b", "IS TRUE", "", ("2 bytes",), False, "the value is binary"),
        (
            "groups", "2", "c", "REGEX MATCH", "^(a|aa|b?a)+$", ("a" * 60 + "!",), False,
            "The pattern '^(a|aa|b?a)+$' worked longer than 0.1 s on one value.",
        ),
        ("groups", "2", "e", "IS NULL", "", (), True, ""),
    ]  # fmt: skip
    assert explain(written((clause("EQUALS", "x"),)), entry())[0].note == "the attribute has no value"
    assert explain(written((clause("EQUALS", "x"),)), unknown("a"))[0].note == "the attribute may not be read"
    damaged = Entry("anchor", "user", "Ann Lee", faults={"a": "holds a NUL character at position 1"})
    assert explain(written((clause("IS NOT NULL"),)), damaged)[0].note.endswith("holds a NUL character at position 1")


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
