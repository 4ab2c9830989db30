"""Choosing and asking: IIF, Switch, Coalesce, CBool, Not, Is…, Error."""

from __future__ import annotations

import pytest

from dirbridge.contract.errors import EntryError
from tests.engine.functions.running import Case, name, work_out

STOP = 'Error("must not run")'

CASES = [
    # IIF, section 3.4
    Case("IIF equal takes the true value", f'IIF([c]="FR", "EU", {STOP})', "EU", {"c": "FR"}),
    Case("IIF unequal takes the false value", f'IIF([c]="FR", {STOP}, "Other")', "Other", {"c": "DE"}),
    Case("IIF compares case-sensitively", 'IIF([c]="FR", "EU", "Other")', "Other", {"c": "fr"}),
    Case("IIF with <>", 'IIF([c]<>"FR", "Other", "EU")', "Other", {"c": "DE"}),
    Case("IIF <> is the opposite of = for an absent value", 'IIF([c]<>"FR", "Other", "EU")', "Other"),
    Case("IIF with > on numbers", 'IIF([n]>9, "more", "less")', "more", {"n": "10"}),
    Case("IIF with >= at the limit", 'IIF([n]>=10, "more", "less")', "more", {"n": "10"}),
    Case("IIF with < on negative numbers", 'IIF([n]<-1, "less", "more")', "less", {"n": "-2"}),
    Case("IIF with <= beyond the limit", 'IIF([n]<=9, "less", "more")', "more", {"n": "10"}),
    Case("IIF numbers with decimals compare as numbers", 'IIF([n]>"9.5", "more", "less")', "more", {"n": "10.25"}),
    Case("IIF text compares by character where one is no number", 'IIF([n]<"b", "yes", "no")', "yes", {"n": "a9"}),
    Case("IIF number and text compare by character", 'IIF([n]<"9", "yes", "no")', "no", {"n": "abc"}),
    Case("IIF with an absent value: no order holds", 'IIF([n]<9, "less", IIF([n]>=9, "more", "none"))', "none"),
    Case("IIF absent equals empty", 'IIF([c]="", "none", [c])', "none"),
    Case("IIF present is not empty", 'IIF([c]="", "none", [c])', "FR", {"c": "FR"}),
    Case("IIF of IsPresent works", 'IIF(IsPresent([c]), [c], "Other")', "Other"),
    Case("IIF of IsNullOrEmpty works", 'IIF(IsNullOrEmpty([c]), "Other", [c])', "FR", {"c": "FR"}),
    Case("IIF on a Boolean attribute", 'IIF([b], "yes", "no")', "yes", {"b": "True"}),
    Case("IIF on a Boolean as a directory writes it", 'IIF([b], "yes", "no")', "yes", {"b": "TRUE"}),
    Case("IIF on a number but 0", 'IIF([n], "yes", "no")', "yes", {"n": "-3"}),
    Case("IIF on 0", 'IIF([n], "yes", "no")', "no", {"n": "0"}),
    Case("IIF on a decimal but 0", 'IIF([n], "yes", "no")', "yes", {"n": "0.5"}),
    Case("IIF on other text", 'IIF([t], "yes", "no")', "no", {"t": "yes"}),
    Case("IIF without a false value gives nothing", 'IIF([c]="FR", "EU", )', None),
    Case("IIF without a true value gives nothing", 'IIF([c]="FR", , "Other")', None, {"c": "FR"}),
    Case("IIF nested along the true path is AND", 'IIF([c]="US", IIF([s]="CA", "both", "one"), "none")', "both",
         {"c": "US", "s": "CA"}),
    Case("IIF nested along the false path is OR", 'IIF([c]="US", "either", IIF([s]="CA", "either", "none"))', "either",
         {"s": "CA"}),
    Case("IIF compares two attributes", 'IIF([a]=[b], "same", "other")', "same", {"a": "x", "b": "x"}),
    Case("IIF compares the first of several values", 'IIF([a]="x", "yes", "no")', "yes", {"a": ("x", "y")}),
    Case("IIF compares a constant on the left", 'IIF("x"=[a], "yes", "no")', "yes", {"a": "x"}),
    Case("IIF dates compare as dates", 'IIF(CDate([d])>Now(), "future", "past")', "future", {"d": "2021-07-03"}),
    Case("IIF a date and a text that is one", 'IIF(CDate([d])="2021-07-03", "yes", "no")', "yes",
         {"d": "7/3/2021 12:00:00 AM"}),
    Case("IIF a date and a text that is none", 'IIF(Now()>"soon", "yes", "no")', "no"),
    Case("IIF bytes are no text", 'IIF([a]="x", "yes", "no")', "no", {"a": b"x"}),
    Case("IIF default mapping: enabled", 'IIF(BitAnd([uac], 2)="0", "True", "False")', "True", {"uac": "512"}),
    Case("IIF default mapping: disabled", 'IIF(BitAnd([uac], 2)="0", "True", "False")', "False", {"uac": "514"}),
    Case("IIF published: guest by address", 'IIF(InStr([upn], "@partners")>0, "Guest", "Member")', "Guest",
         {"upn": "ann@partners.test"}),
    # Switch
    Case("Switch takes the value of its key", 'Switch([st], "Other", "NY", "East", "CA", "West")', "West",
         {"st": "CA"}),
    Case("Switch falls back on the default", 'Switch([st], "Other", "NY", "East")', "Other", {"st": "TX"}),
    Case("Switch compares case-sensitively", 'Switch([st], "Other", "NY", "East")', "Other", {"st": "ny"}),
    Case("Switch with an empty default gives nothing", 'Switch([st], , "NY", "East")', None, {"st": "TX"}),
    Case("Switch with a default of no characters", 'Switch([st], "", "NY", "East")', "", {"st": "TX"}),
    Case("Switch key of no characters stands for absent", 'Switch([st], "set", "", "none")', "none"),
    Case("Switch key of no characters stands for empty", 'Switch([st], "set", "", "none")', "none", {"st": ""}),
    Case("Switch published: pass the value unless empty", 'Switch([c], [c], "", "Other")', "FR", {"c": "FR"}),
    Case("Switch keys may be expressions", 'Switch([a], "no", ToLower([b]), "yes")', "yes", {"a": "x", "b": "X"}),
    Case("Switch first of equal keys wins", 'Switch([a], "no", "x", "1", "x", "2")', "1", {"a": "x"}),
    Case("Switch does not evaluate the others", f'Switch([a], {STOP}, "y", {STOP}, "x", "1")', "1", {"a": "x"}),
    Case(
        "Switch keys that are conditions compare as text",
        "Switch(IsPresent([a]), [a], IsPresent([b]), [b])",
        "2",
        {"a": "1", "b": "2"},
    ),
    Case("Switch on a number", 'Switch(BitAnd([n], 2), "?", "0", "off", "2", "on")', "on", {"n": "3"}),
    Case("Switch on a date is a text", 'Switch(CDate([d]), "no", "1/2/2024 12:00:00 AM", "yes")', "yes",
         {"d": "2024-01-02"}),
    Case("Switch on bytes has no key", 'Switch([a], "no", "x", "yes")', "no", {"a": b"x"}),
    # Coalesce
    Case("Coalesce takes the first value that there is", "Coalesce([mail], [upn])", "a@x", {"upn": "a@x"}),
    Case("Coalesce last argument serves as default", 'Coalesce([mail], [upn], "none")', "none"),
    Case("Coalesce of nothing is nothing", "Coalesce([mail], [upn])", None),
    Case("Coalesce takes an empty text for a value", 'Coalesce([mail], "", "x")', ""),
    Case("Coalesce keeps several values", "Coalesce([mail], [more])", ("a", "b"), {"more": ("a", "b")}),
    Case("Coalesce stops at the first", f'Coalesce("x", {STOP})', "x"),
    Case("Coalesce passes an empty place over", 'Coalesce([mail], , "x")', "x"),
    # Asking
    Case("IsPresent of a value", "IsPresent([a])", "True", {"a": "x"}),
    Case("IsPresent of nothing", "IsPresent([a])", "False"),
    Case("IsPresent of an empty text", "IsPresent([a])", "False", {"a": ""}),
    Case("IsPresent of a space", "IsPresent([a])", "True", {"a": " "}),
    Case("IsPresent of bytes", "IsPresent([a])", "True", {"a": b"\0"}),
    Case("IsPresent of a call", "IsPresent(Trim([a]))", "False", {"a": "  "}),
    Case("IsNullOrEmpty is the inverse of IsPresent", "IsNullOrEmpty([a])", "True", {"a": ""}),
    Case("IsNullOrEmpty of a value", "IsNullOrEmpty([a])", "False", {"a": "x"}),
    Case("IsNull of nothing", "IsNull([a])", "True"),
    Case("IsNull of an empty text", 'IsNull("")', "False"),
    Case("IsNothing is IsNull by its older name", "IsNothing([a])", "True"),
    Case("IsNothing of a value", "IsNothing([a])", "False", {"a": "x"}),
    Case("IsString of text", "IsString([a])", "True", {"a": "x"}),
    Case("IsString of bytes", "IsString([objectGUID])", "False", {"objectGUID": b"x"}),
    Case("IsString of nothing", "IsString([a])", "False"),
    Case("IsString of several values", "IsString([a])", "False", {"a": ("x", "y")}),
    Case("Not of True", 'Not("True")', "False"),
    Case("Not of False", 'Not("False")', "True"),
    Case("Not of anything else", 'Not("true")', "True"),
    Case("Not of nothing", "Not([a])", "True"),
    Case("Not of a condition", "Not(IsPresent([a]))", "True"),
    # CBool
    Case("CBool of equal attributes", "CBool([a]=[b])", "True", {"a": "x", "b": "x"}),
    Case("CBool of unequal attributes", "CBool([a]=[b])", "False", {"a": "x", "b": "y"}),
    Case("CBool of a comparison of numbers", "CBool([n]>=2)", "True", {"n": "10"}),
    Case("CBool of a number but 0", "CBool(BitAnd([g], -2147483648))", "True", {"g": "-2147483646"}),
    Case("CBool of 0", "CBool(BitAnd([g], -2147483648))", "False", {"g": "2"}),
    Case("CBool of True", 'CBool("True")', "True"),
    Case("CBool of other text", 'CBool("x")', "False"),
    Case("CBool of nothing", "CBool([a])", "False"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=name)
def test_conditions(case: Case) -> None:
    """What the rule says comes out."""
    assert work_out(case.expression, case.attributes) == case.result


def test_error_fails_the_entry_with_its_text() -> None:
    """Wherever it is evaluated, and only there."""
    with pytest.raises(EntryError, match=r"^mail missing$") as caught:
        work_out('IIF(IsPresent([mail]), [mail], Error("mail missing"))')
    assert caught.value.code == "ExpressionError"
    assert work_out('IIF(IsPresent([mail]), [mail], Error("mail missing"))', {"mail": "a@x"}) == "a@x"


def test_error_without_a_text_still_says_something() -> None:
    """An absent message does not hide that the mapping raised it."""
    with pytest.raises(EntryError, match="mapping raised an error"):
        work_out("Error([why])")
