"""Dates: reading, writing, adding and subtracting, Active Directory's numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirbridge.contract.errors import EntryError
from dirbridge.engine.expressions import InvalidExpression, parse
from dirbridge.engine.functions import formats, moments
from tests.engine.functions.running import NOW, Case, Given, name, work_out

HIRED = {"hired": "2012-03-16-07:00"}

CASES = [
    # CDate: published rows, and the forms that need no format
    Case("CDate published: date with an offset", 'CDate("2020-03-16-07:00")', "3/16/2020 7:00:00 AM"),
    Case("CDate published: the day before", 'CDate("2021-06-30+08:00")', "6/29/2021 4:00:00 PM"),
    Case("CDate published: time with an offset", 'CDate("2009-06-15T01:45:30-07:00")', "6/15/2009 8:45:30 AM"),
    Case("CDate date alone is midnight UTC", 'CDate("2024-05-01")', "5/1/2024 12:00:00 AM"),
    Case("CDate Z is UTC", 'CDate("2024-05-01T12:00:00Z")', "5/1/2024 12:00:00 PM"),
    Case("CDate fractions", 'CDate("2024-05-01T12:00:00.1234567Z")', "5/1/2024 12:00:00 PM"),
    Case("CDate its own form", 'CDate("4/30/2024 10:00:00 PM")', "4/30/2024 10:00:00 PM"),
    Case("CDate month before day", 'CDate("3/4/2024")', "3/4/2024 12:00:00 AM"),
    Case("CDate with a month's name", 'CDate("16 March 2012 07:00")', "3/16/2012 7:00:00 AM"),
    Case("CDate as mail writes it", 'CDate("Fri, 16 Mar 2012 07:00:00 GMT")', "3/16/2012 7:00:00 AM"),
    Case("CDate month's name first", 'CDate("Mar 16, 2012 7:00 PM")', "3/16/2012 7:00:00 PM"),
    Case("CDate as a directory writes it", 'CDate("20240131235959.0Z")', "1/31/2024 11:59:59 PM"),
    Case("CDate white space around", 'CDate("  2024-05-01 ")', "5/1/2024 12:00:00 AM"),
    Case("CDate of nothing", "CDate([a])", None),
    Case("CDate of a blank", 'CDate(" ")', None),
    Case("Now published form", "Now()", "7/2/2021 3:33:38 PM"),
    # DateAdd: published rows
    Case("DateAdd published: days", 'DateAdd("d", 7, CDate([hired]))', "3/23/2012 7:00:00 AM", {**HIRED}),
    Case("DateAdd published: days back", 'DateAdd("d", -10, CDate([hired]))', "3/6/2012 7:00:00 AM", {**HIRED}),
    Case("DateAdd published: weeks", 'DateAdd("ww", 2, CDate([hired]))', "3/30/2012 7:00:00 AM", {**HIRED}),
    Case("DateAdd published: months", 'DateAdd("m", 10, CDate([hired]))', "1/16/2013 7:00:00 AM", {**HIRED}),
    Case("DateAdd published: years", 'DateAdd("yyyy", 2, CDate([hired]))', "3/16/2014 7:00:00 AM", {**HIRED}),
    Case("DateAdd hours", 'DateAdd("h", -8, CDate("2024-01-01"))', "12/31/2023 4:00:00 PM"),
    Case("DateAdd minutes", 'DateAdd("n", 90, CDate("2024-01-01"))', "1/1/2024 1:30:00 AM"),
    Case("DateAdd seconds", 'DateAdd("s", 1, CDate("2024-01-01"))', "1/1/2024 12:00:01 AM"),
    Case("DateAdd month clamps to the month's end", 'DateAdd("m", 1, CDate("2024-01-31"))', "2/29/2024 12:00:00 AM"),
    Case("DateAdd month back clamps too", 'DateAdd("m", -1, CDate("2023-03-31"))', "2/28/2023 12:00:00 AM"),
    Case("DateAdd year clamps the leap day", 'DateAdd("yyyy", 1, CDate("2024-02-29"))', "2/28/2025 12:00:00 AM"),
    Case("DateAdd takes a date as text", 'DateAdd("d", 1, "2024-01-30")', "1/31/2024 12:00:00 AM"),
    Case("DateAdd to nothing", 'DateAdd("d", 1, CDate([a]))', None),
    Case("DateAdd to the present", 'DateAdd("d", 1, Now())', "7/3/2021 3:33:38 PM"),
    # DateDiff: published rows
    Case("DateDiff published: days ahead", 'DateDiff("d", CDate("2021-08-18+08:00"), CDate("2021-08-31+08:00"))', "13"),
    Case("DateDiff published: days back", 'DateDiff("d", CDate("8/25/2021 5:41:18 PM"), CDate([hired]))', "-3449",
         {**HIRED}),
    Case("DateDiff published: weeks", 'DateDiff("ww", CDate("8/25/2021 5:41:18 PM"), CDate([hired]))', "-493",
         {**HIRED}),
    Case("DateDiff published: months", 'DateDiff("m", CDate("8/25/2021 5:41:18 PM"), CDate([hired]))', "-113",
         {**HIRED}),
    Case("DateDiff published: years", 'DateDiff("yyyy", CDate("8/25/2021 5:41:18 PM"), CDate([hired]))', "-9",
         {**HIRED}),
    Case("DateDiff published: same", 'DateDiff("d", CDate("2021-08-31+08:00"), CDate("2021-08-31+08:00"))', "0"),
    Case("DateDiff published: hours", 'DateDiff("h", CDate("2021-08-24"), CDate("2021-08-25"))', "24"),
    Case("DateDiff published: minutes", 'DateDiff("n", CDate("2021-08-24"), CDate("2021-08-25"))', "1440"),
    Case("DateDiff published: seconds", 'DateDiff("s", CDate("2021-08-24"), CDate("2021-08-25"))', "86400"),
    Case("DateDiff days are full ones", 'DateDiff("d", "2024-01-01T23:00:00Z", "2024-01-02T01:00:00Z")', "0"),
    Case("DateDiff is cut toward zero", 'DateDiff("h", "2024-01-01T01:59:00Z", "2024-01-01T00:00:00Z")', "-1"),
    Case("DateDiff years count turns of the year", 'DateDiff("yyyy", "2023-12-31", "2024-01-01")', "1"),
    Case("DateDiff months count turns of the month", 'DateDiff("m", "2024-01-31", "2024-02-01")', "1"),
    Case("DateDiff weeks count Sundays", 'DateDiff("ww", "2024-01-06", "2024-01-07")', "1"),
    Case("DateDiff weeks within one", 'DateDiff("ww", "2024-01-07", "2024-01-13")', "0"),
    Case("DateDiff weeks whatever the hour", 'DateDiff("ww", "2024-01-06T23:00:00Z", "2024-01-07T01:00:00Z")', "1"),
    Case("DateDiff with nothing", 'DateDiff("d", Now(), CDate([a]))', None),
    Case("DateDiff published: in an IIF", 'IIF(DateDiff("d", Now(), CDate([h]))>5, "False", "True")', "False",
         {"h": "2021-07-09"}),
    # Active Directory's numbers
    Case("DateFromNum published", "DateFromNum(129699324000000000)", "1/1/2012 11:00:00 PM"),
    Case("DateFromNum of 0", 'DateFromNum("0")', None),
    Case("DateFromNum of nothing", "DateFromNum([a])", None),
    Case("DateFromNum keeps fractions", 'FormatDateTime(DateFromNum([a]), , "ss.fffffff")', "16.4048000",
         {"a": "132772253564048004"}),
    Case("NumFromDate is the inverse", 'NumFromDate("2012-01-01T23:00:00Z")', "129699324000000000"),
    Case("NumFromDate of its number", "NumFromDate(DateFromNum(129699324000000000))", "129699324000000000"),
    Case("NumFromDate published: end of a day in a zone",
         'NumFromDate(Join("", FormatDateTime([end], ,"yyyy-MM-ddzzz", "yyyy-MM-dd"), " 23:59:59-08:00"))',
         "132539615990000000", {"end": "2020-12-31-08:00"}),
    Case("NumFromDate published: another form",
         'NumFromDate(Join("",FormatDateTime([end], ,"M/d/yyyy hh:mm:ss tt","yyyy-MM-dd")," 23:59:59-08:00"))',
         "132539615990000000", {"end": "12/31/2020 12:00:00 AM"}),
    Case("NumFromDate of nothing", "NumFromDate([a])", None),
    # FormatDateTime
    Case("FormatDateTime published: four arguments",
         'FormatDateTime([x], , "yyyyMMddHHmmss.fZ", "yyyy-MM-dd")', "2015-01-23", {"x": "20150123105347.1Z"}),
    Case("FormatDateTime empty quotes", """FormatDateTime("20240131", "yyyy''MMdd", "dd''MMM''")""", "31Jan"),
    Case("FormatDateTime nothing but empty quotes", """FormatDateTime("20240131", "yyyyMMdd", "''")""", ""),
    Case("FormatDateTime three arguments", 'FormatDateTime("20240131", "yyyyMMdd", "dd/MM/yyyy")', "31/01/2024"),
    Case("FormatDateTime default mapping", 'FormatDateTime(DateFromNum([p]), , "yyyyMMddHHmmss.0Z")',
         "20210927140916.0Z", {"p": "132772253564048004"}),
    Case("FormatDateTime without an input format", 'FormatDateTime("2024-01-31", , "dd.MM.yy")', "31.01.24"),
    Case("FormatDateTime of nothing", 'FormatDateTime([a], , "yyyyMMdd", "yyyy")', None),
    Case("FormatDateTime names", 'FormatDateTime("2024-01-31", , "dddd, d MMMM yyyy")', "Wednesday, 31 January 2024"),
    Case("FormatDateTime short names", 'FormatDateTime("2024-01-31", , "ddd d MMM")', "Wed 31 Jan"),
    Case("FormatDateTime half of the day", 'FormatDateTime("2024-01-31T15:04:05Z", , "h:m:s t|hh:mm:ss tt")',
         "3:4:5 P|03:04:05 PM"),
    Case("FormatDateTime midnight is twelve", 'FormatDateTime("2024-01-31", , "h hh H HH tt")', "12 12 0 00 AM"),
    Case("FormatDateTime fractions", 'FormatDateTime("2024-01-31T00:00:00.120Z", , "f ff fff FFFF")', "1 12 120 12"),
    Case("FormatDateTime a fraction of nothing takes its point along",
         'FormatDateTime("2024-01-31T00:00:00Z", , "ss.FFF")', "00"),
    Case("FormatDateTime years", 'FormatDateTime("2007-01-31", , "y yy yyy yyyy yyyyy")', "7 07 2007 2007 02007"),
    Case("FormatDateTime zone of a moment", 'FormatDateTime("2024-01-31T02:00:00+02:00", , "HH K z zz zzz")',
         "00 Z +0 +00 +00:00"),
    Case("FormatDateTime no zone where none was named", 'FormatDateTime("2024-01-31", , "yyyyK")', "2024"),
    Case("FormatDateTime quoted and escaped text", r"""FormatDateTime("2024-01-31", , "d 'de' MMM \\d \"h\"")""",
         "31 de Jan d h"),
    Case("FormatDateTime other letters pass", 'FormatDateTime("2024-01-31", , "yyyyTQ-MM")', "2024TQ-01"),
    Case("FormatDateTime percent in the output", "FormatDateTime(\"2024-01-31\", , \"'100%' yyyy\")", "100% 2024"),
    Case("FormatDateTime a single specifier", 'FormatDateTime("2024-01-03", , "%d")', "3"),
    Case("FormatDateTime standard round trip", 'FormatDateTime("2024-01-31T01:02:03.5Z", , "o")',
         "2024-01-31T01:02:03.5000000Z"),
    Case("FormatDateTime standard mail", 'FormatDateTime("2024-01-31T01:02:03Z", , "r")',
         "Wed, 31 Jan 2024 01:02:03 GMT"),
    Case("FormatDateTime standard sortable", 'FormatDateTime("2024-01-31T01:02:03Z", , "s")', "2024-01-31T01:02:03"),
    Case("FormatDateTime reads names", 'FormatDateTime("Wed 31 january 2024", "ddd d MMMM yyyy", "yyyyMMdd")',
         "20240131"),
    Case("FormatDateTime reads short numbers", 'FormatDateTime("3/4/2024", "M/d/yyyy", "yyyyMMdd")', "20240304"),
    Case("FormatDateTime reads years of two digits", 'FormatDateTime("29 30", "yy dd", "yyyy")', "2029"),
    Case("FormatDateTime reads years of the last century", 'FormatDateTime("30-01-01", "yy-MM-dd", "yyyy")', "1930"),
    Case("FormatDateTime reads an optional fraction", 'FormatDateTime("01:02:03", "HH:mm:ss.FFF", "ss")', "03"),
    Case("FormatDateTime a time alone is of today", 'FormatDateTime("10:30", "HH:mm", "yyyy-MM-dd HH")',
         "2021-07-02 10"),
    Case("FormatDateTime without today's date", 'FormatDateTime("10:30", "NoCurrentDateDefault", "HH:mm", "yyyy HH")',
         "0001 10"),
    Case("FormatDateTime a day alone is of this year", 'FormatDateTime("05-04", "MM-dd", "yyyy-MM-dd")', "2021-05-04"),
    Case("FormatDateTime white space around is allowed", 'FormatDateTime(" 2024 ", "yyyy", "yy")', "24"),
    Case("FormatDateTime white space within by style",
         'FormatDateTime("2024 -01- 31", "AllowWhiteSpaces", "yyyy-MM-dd", "dd")', "31"),
    Case("FormatDateTime UTC by style", 'FormatDateTime("2024", "AssumeUniversal", "yyyy", "yyyyK")', "2024Z"),
    Case("FormatDateTime a literal Z says UTC", 'FormatDateTime("2024Z", "yyyyZ", "yyyyK")', "2024Z"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=name)
def test_dates(case: Case) -> None:
    """What the rule says comes out."""
    assert work_out(case.expression, case.attributes) == case.result


@pytest.mark.parametrize(
    ("expression", "attributes", "said"),
    [
        ("CDate([a])", {"a": "yesterday"}, "takes a date and was given 'yesterday'"),
        ("CDate([a])", {"a": "2024-02-30"}, "takes a date"),
        ("CDate([a])", {"a": "2024-01-01T25:00:00"}, "takes a date"),
        ("CDate([a])", {"a": "1/1/2024 13:00:00 PM"}, "takes a date"),
        ("CDate([a])", {"a": "0001-01-01T00:00:00+14:00"}, "takes a date"),
        ("CDate([a])", {"a": "2024-01-01+99:00"}, "takes a date"),
        ("CDate([a])", {"a": "1 Foo 2024"}, "takes a date"),
        ('DateAdd([a], 1, "2024-01-01")', {"a": "q"}, "interval 'q'"),
        ('DateAdd("yyyy", 9000, "2024-01-01")', {}, "after 9999"),
        ('DateAdd("d", -999999999, "2024-01-01")', {}, "before the year 1"),
        ("DateFromNum([a])", {"a": "9223372036854775807"}, "before the year 10000"),
        ("NumFromDate([a])", {"a": "1600-12-31"}, "counts from 1601"),
        ('FormatDateTime([a], "yyyyMMdd", "yyyy")', {"a": "2024-01-31"}, "no date of the form 'yyyyMMdd'"),
        ('FormatDateTime([a], "yyyyMMdd", "yyyy")', {"a": "20240231"}, "no date"),
        ('FormatDateTime([a], "yyyyMMdd", "yyyy")', {"a": "202401311"}, "no date"),
        ('FormatDateTime([a], "ddd d MMM yyyy", "yyyy")', {"a": "Mon 31 Jan 2024"}, "no date"),
        ('FormatDateTime([a], "yyyy-yyyy", "yyyy")', {"a": "2024-2025"}, "no date"),
        ('FormatDateTime([a], "None", "yyyy", "yyyy")', {"a": " 2024"}, "no date"),
        ('FormatDateTime([a], , "yyyy")', {"a": "31.1.2024"}, "needs no input format"),
        ('FormatDateTime("2024", [a], "yyyy")', {"a": "'"}, "format"),
        ('FormatDateTime("2024-01-01", , [a])', {"a": "x"}, "'x' alone is no format"),
        ('FormatDateTime("2024", [a], "yyyy", "yyyy")', {"a": "Odd"}, "no style 'Odd'"),
        ("CDate([a])", {"a": b"\1"}, "1 bytes"),
    ],
)
def test_values_that_do_not_do(expression: str, attributes: dict[str, Given], said: str) -> None:
    """The entry fails, and the message shows what it was given."""
    with pytest.raises(EntryError, match=said):
        work_out(expression, attributes)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ('DateAdd("month", 1, [a])', "'month' is no interval"),
        ('DateDiff("q", [a], [b])', "'q' is no interval"),
        ('FormatDateTime([a], , "yyyy \'x")', "' at character 6 is not closed"),
        ('FormatDateTime([a], "ffffffff", "yyyy")', "more than seven digits"),
        ('FormatDateTime([a], , "Q")', "'Q' alone is no format"),
        (r'FormatDateTime([a], , "yyyy\\")', "is not closed"),
        ('FormatDateTime([a], "Odd, None", "yyyy", "yyyy")', "'Odd' is no style"),
        ("FormatDateTime([a], [b])", "lacks its parameter 'outputFormat'"),
    ],
)
def test_constants_that_do_not_do(expression: str, said: str) -> None:
    """They are found before any entry is seen."""
    with pytest.raises(InvalidExpression, match=said):
        parse(expression)


MOMENT = st.integers(0, 2_300_000_000_000_000_00).map(
    lambda steps: datetime(1700, 1, 1, tzinfo=UTC) + timedelta(microseconds=steps)
)


@given(MOMENT)
def test_number_and_date_are_inverse(moment: datetime) -> None:
    """To the step of 100 ns, whatever the day."""
    number = work_out(f'NumFromDate("{moment.isoformat()}")')
    written = moment.strftime("%Y%m%d%H%M%S.%f")
    assert work_out(f'FormatDateTime(DateFromNum("{number}"), , "yyyyMMddHHmmss.ffffff")') == written


@given(MOMENT, st.sampled_from(["yyyy-MM-dd HH:mm:ss.ffffff", "d MMMM yyyy h:m:s.ffffff tt", "yyyyMMddHHmmssffffff"]))
def test_what_is_written_can_be_read(moment: datetime, form: str) -> None:
    """By the same format, and the same moment comes back."""
    written = formats.writer(form)(moment)
    read = formats.read(written, form, formats.DEFAULT_STYLES, lambda: NOW)
    assert read is not None
    assert moments.utc(read) == moment


@given(MOMENT, st.integers(-5000, 5000), st.sampled_from(["d", "h", "n", "s"]))
def test_adding_and_subtracting_are_inverse(moment: datetime, count: int, unit: str) -> None:
    """In units of one length, exactly."""
    expression = f'DateDiff("{unit}", [a], DateAdd("{unit}", {count}, [a]))'
    assert work_out(expression, {"a": moment.isoformat()}) == str(count)


@given(MOMENT, MOMENT)
def test_difference_changes_its_sign(one: datetime, other: datetime) -> None:
    """In all units."""
    for unit in ("yyyy", "m", "ww", "d", "h", "n", "s"):
        there, back = (
            int(str(work_out(f'DateDiff("{unit}", [a], [b])', {"a": a.isoformat(), "b": b.isoformat()})))
            for a, b in ((one, other), (other, one))
        )
        assert there == -back


@given(MOMENT, st.integers(-14 * 60, 14 * 60))
def test_offsets_are_applied(moment: datetime, minutes: int) -> None:
    """The same moment, wherever it was written down."""
    there = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert moments.read(there.isoformat()) == moment
