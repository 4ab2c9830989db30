"""Dates: reading, writing, adding and subtracting. All of them are in UTC."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from dirbridge.engine.functions import formats, moments
from dirbridge.engine.functions.environment import Environment
from dirbridge.engine.functions.formats import BadFormat
from dirbridge.engine.functions.moments import FILETIME_EPOCH
from dirbridge.engine.functions.signature import Complaint, Function, Given, Parameter, constant, of_text, whole
from dirbridge.engine.functions.values import (
    Argument,
    Attributes,
    Fixed,
    Result,
    direct,
    excerpt,
    failed,
    first,
    number,
    text,
)

# From and to Active Directory's numbers -------------------------------------------------------------------------------


def _date_from_num(source: Result) -> Result:
    """Steps of 100 ns since 1601; 0 and absent give nothing."""
    value = text(source, "DateFromNum")
    if not value or value == "0":
        return None
    try:
        return FILETIME_EPOCH + timedelta(microseconds=number(value, "DateFromNum") // 10)
    except OverflowError as error:
        raise failed(f"DateFromNum was given {excerpt(value)}, which is no time before the year 10000.") from error


def _num_from_date(source: Result) -> Result:
    moment = moments.moment(source, "NumFromDate")
    if moment is None:
        return None
    since = moment - FILETIME_EPOCH
    if since < timedelta(0):
        raise failed(f"NumFromDate was given the year {moment.year}; Active Directory counts from 1601.")
    return str((since.days * 86_400 + since.seconds) * 10_000_000 + since.microseconds * 10)


# Reckoning ------------------------------------------------------------------------------------------------------------


def _c_date(source: Result) -> Result:
    return moments.moment(source, "CDate")


def _months_on(moment: datetime, months: int) -> datetime:
    """Go on by months; a day that the month has not becomes its last."""
    count = moment.year * 12 + moment.month - 1 + months
    year, month = divmod(count, 12)
    if not 1 <= year <= 9999:
        raise OverflowError(year)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


_ADD: Mapping[str, Callable[[datetime, int], datetime]] = {
    "yyyy": lambda moment, count: _months_on(moment, 12 * count),
    "m": _months_on,
    "d": lambda moment, count: moment + timedelta(days=count),
    "ww": lambda moment, count: moment + timedelta(weeks=count),
    "h": lambda moment, count: moment + timedelta(hours=count),
    "n": lambda moment, count: moment + timedelta(minutes=count),
    "s": lambda moment, count: moment + timedelta(seconds=count),
}
INTERVALS = tuple(_ADD)


def _interval(value: Result, where: str) -> str:
    name = text(value, where) or ""
    if name not in _ADD:
        raise failed(f"{where} was given the interval {excerpt(name)}; use one of {', '.join(INTERVALS)}.")
    return name


def _date_add(interval: Result, value: Result, date_time: Result) -> Result:
    name, count = _interval(interval, "DateAdd"), number(value, "DateAdd")
    moment = moments.moment(date_time, "DateAdd")
    if moment is None:
        return None
    try:
        return _ADD[name](moment, count)
    except OverflowError as error:
        raise failed("DateAdd leads to a time before the year 1 or after 9999.") from error


def _sunday(moment: datetime) -> int:
    """Number the week that a moment lies in; weeks begin on Sunday."""
    return moment.toordinal() // 7


_DIFF: Mapping[str, Callable[[datetime, datetime], int]] = {
    "yyyy": lambda one, other: other.year - one.year,
    "m": lambda one, other: (other.year - one.year) * 12 + other.month - one.month,
    "ww": lambda one, other: _sunday(other) - _sunday(one),
    "d": lambda one, other: _whole(other - one, 86_400),
    "h": lambda one, other: _whole(other - one, 3_600),
    "n": lambda one, other: _whole(other - one, 60),
    "s": lambda one, other: _whole(other - one, 1),
}


def _whole(span: timedelta, seconds: int) -> int:
    """Count whole units of a span, cut toward zero."""
    units = abs(span) // timedelta(seconds=seconds)
    return -units if span < timedelta(0) else units


def _date_diff(interval: Result, date1: Result, date2: Result) -> Result:
    name = _interval(interval, "DateDiff")
    one, other = moments.moment(date1, "DateDiff"), moments.moment(date2, "DateDiff")
    return None if one is None or other is None else str(_DIFF[name](one, other))


def _check_interval(given: Given) -> Complaint | None:
    name = constant(given, "interval")
    if name is not None and name not in _ADD:
        return Complaint(f"'{name}' is no interval.", f"Use one of {', '.join(INTERVALS)}.", "interval")
    return None


def _now(_arguments: Sequence[Argument | None], environment: Environment) -> Argument:
    now = environment.now
    return lambda _at: now().astimezone(UTC)


# Formats --------------------------------------------------------------------------------------------------------------


def _styles(value: Result) -> frozenset[str]:
    names = _named(text(value, "FormatDateTime") or "")
    if not names <= formats.STYLES:
        raise failed(f"FormatDateTime knows no style {excerpt(min(names - formats.STYLES))}.")
    return names or formats.DEFAULT_STYLES


def _named(styles: str) -> frozenset[str]:
    return frozenset(styles.replace("|", ",").replace(" ", "").split(",")) - {""}


def _writer(value: Result) -> Callable[[datetime], str]:
    form = text(value, "FormatDateTime") or ""
    try:
        return formats.writer(form)
    except BadFormat as error:
        raise failed(f"FormatDateTime was given the format {excerpt(form)}: {error}.") from error


def _bind_format(arguments: Sequence[Argument | None], environment: Environment) -> Argument:
    """Take a constant output format apart once."""
    source, styles, input_format, output = (argument or Fixed(None) for argument in arguments)
    value, now = direct(source), environment.now
    ready = _writer(output.value) if isinstance(output, Fixed) else None

    def make(at: Attributes) -> Result:
        found = first(value(at))
        if not found:
            return None
        if not isinstance(found, datetime):
            found = _read(found, _styles(styles(at)), input_format(at), now)
        return (ready or _writer(output(at)))(found)

    return make


def _read(found: Result, styles: frozenset[str], input_format: Result, now: Callable[[], datetime]) -> datetime:
    written, form = text(found, "FormatDateTime") or "", text(input_format, "FormatDateTime")
    try:
        moment = formats.read(written, form, styles, now) if form else moments.read(written)
    except BadFormat as error:
        raise failed(f"FormatDateTime was given the format {excerpt(form)}: {error}.") from error
    if moment is None:
        wanted = f"the form {excerpt(form)}" if form else "a form that needs no input format"
        raise failed(f"FormatDateTime was given {excerpt(written)}, which is no date of {wanted}.")
    return moment


def _check_format(given: Given) -> Complaint | None:
    for name in ("inputFormat", "outputFormat"):
        form = constant(given, name)
        if not form:
            continue
        try:
            formats.parts(form)
        except BadFormat as error:
            return Complaint(f"the format '{form}' means nothing: {error}.", "Write it as .NET does.", name)
    unknown = _named(constant(given, "dateTimeStyles") or "") - formats.STYLES
    if unknown:
        known = ", ".join(sorted(formats.STYLES))
        return Complaint(f"'{min(unknown)}' is no style.", f"Use names of {known}.", "dateTimeStyles")
    return None


_SOURCE = of_text()
_INTERVAL = of_text("interval")
_UNITS = "`yyyy`, `m`, `d`, `ww`, `h`, `n` or `s`"

FUNCTIONS = (
    Function(
        "CDate",
        (_SOURCE,),
        "The moment that a text names, in UTC: ISO 8601, `M/d/yyyy` with or without a time, with names of months.",
        'CDate("2024-05-01+02:00")',
        "4/30/2024 10:00:00 PM",
        _c_date,
        strict=True,
    ),
    Function("Now", (), "The time.", "Now()", bind=_now, pure=False),
    Function(
        "DateAdd",
        (_INTERVAL, whole("value"), Parameter("dateTime", "DateTime")),
        f"A date and so many units of {_UNITS} on, or back. A day that the month has not becomes its last.",
        'DateAdd("d", 7, CDate("2024-01-30"))',
        "2/6/2024 12:00:00 AM",
        _date_add,
        check=_check_interval,
    ),
    Function(
        "DateDiff",
        (_INTERVAL, Parameter("date1", "DateTime"), Parameter("date2", "DateTime")),
        f"How far the second date lies after the first, in {_UNITS}. Days and shorter units count when they are full, "
        "years, months and weeks by the turns of the calendar between, a week beginning on Sunday.",
        'DateDiff("h", CDate("2024-01-01"), CDate("2024-01-02"))',
        "24",
        _date_diff,
        check=_check_interval,
    ),
    Function(
        "DateFromNum",
        (whole("source"),),
        "The moment that a number of Active Directory stands for; nothing for 0.",
        "DateFromNum(129699324000000000)",
        "1/1/2012 11:00:00 PM",
        _date_from_num,
        strict=True,
    ),
    Function(
        "NumFromDate",
        (_SOURCE,),
        "A date as Active Directory's number.",
        'NumFromDate("2012-01-01T23:00:00Z")',
        "129699324000000000",
        _num_from_date,
        strict=True,
    ),
    Function(
        "FormatDateTime",
        (
            _SOURCE,
            Parameter("dateTimeStyles", required=False),
            Parameter("inputFormat", required=False),
            of_text("outputFormat"),
        ),
        "A date in another form. Formats are .NET's. Without an input format, a date function's result or a common "
        "form is expected. With three arguments, the styles are left out.",
        'FormatDateTime("20240131", , "yyyyMMdd", "dd/MM/yyyy")',
        "31/01/2024",
        bind=_bind_format,
        check=_check_format,
        places=(
            ("source", "inputFormat", "outputFormat"),
            ("source", "dateTimeStyles", "inputFormat", "outputFormat"),
        ),
        pure=False,
        strict=True,
    ),
)
