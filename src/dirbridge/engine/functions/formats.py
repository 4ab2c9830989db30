"""Date formats as .NET writes them: reading text by one, and writing a moment by one, in the invariant culture.

Source: .NET's pages on custom and standard date and time format strings, and on DateTimeStyles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter

import msgspec

from dirbridge.engine.functions.moments import clock_hour, placed

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_STANDARD = {
    "d": "MM/dd/yyyy",
    "D": "dddd, dd MMMM yyyy",
    "f": "dddd, dd MMMM yyyy HH:mm",
    "F": "dddd, dd MMMM yyyy HH:mm:ss",
    "g": "MM/dd/yyyy HH:mm",
    "G": "MM/dd/yyyy HH:mm:ss",
    "M": "MMMM dd",
    "m": "MMMM dd",
    "O": "yyyy-MM-ddTHH:mm:ss.fffffffK",
    "o": "yyyy-MM-ddTHH:mm:ss.fffffffK",
    "R": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "r": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "s": "yyyy-MM-ddTHH:mm:ss",
    "t": "HH:mm",
    "T": "HH:mm:ss",
    "u": "yyyy-MM-dd HH:mm:ssZ",
    "U": "dddd, dd MMMM yyyy HH:mm:ss",
    "Y": "yyyy MMMM",
    "y": "yyyy MMMM",
}
"""What a format of one letter stands for."""

STYLES = frozenset(
    {
        "None",
        "AllowLeadingWhite",
        "AllowTrailingWhite",
        "AllowInnerWhite",
        "AllowWhiteSpaces",
        "NoCurrentDateDefault",
        "AdjustToUniversal",
        "AssumeLocal",
        "AssumeUniversal",
        "RoundtripKind",
    }
)
DEFAULT_STYLES = frozenset({"RoundtripKind", "AllowLeadingWhite", "AllowTrailingWhite"})

_TOKEN = re.compile(
    r"(?P<part>d+|f+|F+|g+|h+|H+|K|m+|M+|s+|t+|y+|z+)|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|\\(?P<escaped>.)"
    r"|%(?=[^%])(?P<percent>)|(?P<literal>.)",
    re.DOTALL,
)


class BadFormat(ValueError):
    """A format that means nothing."""


class Part(msgspec.Struct, frozen=True):
    """One piece of a format: a letter with how often it stands there, or a literal text (`letter` is empty)."""

    letter: str
    count: int
    literal: str = ""


@lru_cache(maxsize=512)
def parts(form: str) -> tuple[Part, ...]:
    """Take a format apart.

    Raises:
        BadFormat: it is empty, a quote or escape is not closed, or it asks for more digits than there are.
    """
    if not form:
        raise BadFormat("it is empty")
    found: list[Part] = []
    if len(form) == 1:
        if form not in _STANDARD:
            raise BadFormat(f"'{form}' alone is no format")
        form = _STANDARD[form]
    for token in _TOKEN.finditer(form):
        if token["part"]:
            found.append(_part(token["part"]))
        elif token["literal"] in {"'", '"', "\\", "%"}:
            raise BadFormat(f"{token['literal']} at character {token.start() + 1} is not closed")
        elif token["percent"] is None:
            text = token["single"] or token["double"] or token["escaped"] or token["literal"] or ""
            # Unquoted, a Z says that the time is in UTC; it is written as any other letter. Empty quotes say nothing.
            if text:
                found.append(Part("Z" if token["literal"] == "Z" else "", 1, text))
    return tuple(found)


def _part(text: str) -> Part:
    if text[0] in "fF" and len(text) > 7:
        raise BadFormat(f"{text} asks for more than seven digits of a second")
    return Part(text[0], len(text))


# Writing --------------------------------------------------------------------------------------------------------------

_FIELDS = {"M": "month", "d": "day", "H": "hour", "m": "minute", "s": "second"}


def writer(form: str) -> Callable[[datetime], str]:
    """Make what writes moments by a format.

    Raises:
        BadFormat: as `parts`.
    """
    found = parts(form)
    fields = [_plain_field(part) for part in found]
    plain = [field for field in fields if field is not None]
    if len(plain) == len(fields):
        return _numeric(plain)
    writers = [_writer(part) for part in found]
    return lambda moment: _without_lone_points("".join(write(moment) for write in writers))


def _plain_field(part: Part) -> tuple[str, str] | None:
    """Give a part that is a literal or a bare number as its place in a `%` template and the attribute that fills it."""
    if part.literal:
        return part.literal.replace("%", "%%"), ""
    if part.letter == "y" and part.count > 2:
        return f"%0{part.count}d", "year"
    if part.letter in _FIELDS and part.count < 3:
        return f"%0{part.count}d", _FIELDS[part.letter]
    return None


def _numeric(fields: list[tuple[str, str]]) -> Callable[[datetime], str]:
    template = "".join(place for place, _ in fields)
    names = [name for _, name in fields if name]
    if len(names) < 2:
        return lambda moment: template % tuple(getattr(moment, name) for name in names)
    values = attrgetter(*names)
    return lambda moment: template % values(moment)


_NO_FRACTION = "\ue000"
"""Stands for a fraction that is not written, so that the point before it goes too."""


def _without_lone_points(text: str) -> str:
    return text.replace("." + _NO_FRACTION, "").replace(_NO_FRACTION, "") if _NO_FRACTION in text else text


def _writer(part: Part) -> Callable[[datetime], str]:
    if part.literal:
        return lambda _moment: part.literal
    write, count = _WRITERS[part.letter], part.count
    return lambda moment: write(moment, count)


def _fraction(moment: datetime, count: int) -> str:
    return f"{moment.microsecond:06}0"[:count]


def _named(number: int, count: int, names: tuple[str, ...], index: int) -> str:
    if count < 3:
        return f"{number:0{count}}"
    return names[index][:3] if count == 3 else names[index]


def _offset(_moment: datetime, count: int) -> str:
    return {1: "+0", 2: "+00"}.get(count, "+00:00")


_WRITERS: Mapping[str, Callable[[datetime, int], str]] = {
    "y": lambda moment, count: f"{moment.year % 100 if count < 3 else moment.year:0{count}}",
    "M": lambda moment, count: _named(moment.month, count, MONTHS, moment.month - 1),
    "d": lambda moment, count: _named(moment.day, count, DAYS, moment.weekday()),
    "H": lambda moment, count: f"{moment.hour:0{min(count, 2)}}",
    "h": lambda moment, count: f"{moment.hour % 12 or 12:0{min(count, 2)}}",
    "m": lambda moment, count: f"{moment.minute:0{min(count, 2)}}",
    "s": lambda moment, count: f"{moment.second:0{min(count, 2)}}",
    "f": _fraction,
    "F": lambda moment, count: _fraction(moment, count).rstrip("0") or _NO_FRACTION,
    "t": lambda moment, count: ("AM" if moment.hour < 12 else "PM")[: min(count, 2)],
    "g": lambda _moment, _count: "A.D.",
    "K": lambda moment, _count: "" if moment.tzinfo is None else "Z",
    "z": _offset,
}

# Reading --------------------------------------------------------------------------------------------------------------


class _Reading:
    """What was read so far of a text, and how far."""

    def __init__(self, text: str, *, inner_white: bool) -> None:
        self.text = text
        self.at = 0
        self.inner_white = inner_white
        self.fields: dict[str, int] = {}
        self.half: str | None = None
        self.zone: str | None = None

    def take(self, pattern: re.Pattern[str]) -> str | None:
        if self.inner_white:
            while self.text[self.at : self.at + 1].isspace():
                self.at += 1
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found.group()

    def put(self, field: str, value: int) -> bool:
        """Keep a field; one that is named twice must say the same."""
        return self.fields.setdefault(field, value) == value


def read(text: str, form: str, styles: frozenset[str], now: Callable[[], datetime]) -> datetime | None:
    """Read a date by a format.

    Args:
        styles: names of DateTimeStyles.
        now: whose day is meant where the format names a time only, whose year where it names none.

    Returns:
        None where the text does not follow the format, or names a day or an hour that does not exist. With a place
        where the text named one or a style assumes it, else without.

    Raises:
        BadFormat: as `parts`.
    """
    white = "AllowWhiteSpaces" in styles
    if white or "AllowLeadingWhite" in styles:
        text = text.lstrip()
    if white or "AllowTrailingWhite" in styles:
        text = text.rstrip()
    reading = _Reading(text, inner_white=white or "AllowInnerWhite" in styles)
    found = parts(form)
    for number, part in enumerate(found):
        if not _take(reading, part, found[number + 1 : number + 2]):
            return None
    if reading.at != len(text):
        return None
    moment = _moment(reading, styles, now)
    if moment is not None and moment.tzinfo is None and styles & {"AssumeLocal", "AssumeUniversal"}:
        return moment.replace(tzinfo=UTC)
    return moment


def _take(reading: _Reading, part: Part, following: tuple[Part, ...]) -> bool:
    if part.letter == "Z":
        reading.zone = reading.take(re.compile("Z"))
        return reading.zone is not None
    if part.literal:
        if reading.inner_white and part.literal.isspace():
            return True
        if reading.take(re.compile(re.escape(part.literal))) is not None:
            return True
        return part.literal == "." and following[:1] != () and following[0].letter == "F"
    return _READERS[part.letter](reading, part.count)


_Reader = Callable[[_Reading, int], bool]


def _digits(field: str) -> _Reader:
    def take(reading: _Reading, count: int) -> bool:
        found = reading.take(_NUMBERS["1,2" if count == 1 else "2"])
        return found is not None and reading.put(field, int(found))

    return take


_NUMBERS = {size: re.compile(rf"[0-9]{{{size}}}") for size in ("1,2", "2", "3", "4", "5")}


def _year(reading: _Reading, count: int) -> bool:
    """A year of two digits lies between 1930 and 2029."""
    found = reading.take(_NUMBERS["1,2" if count == 1 else str(min(count, 5))])
    if found is None:
        return False
    year = int(found)
    return reading.put("year", year if count > 2 else year + (2000 if year < 30 else 1900))


def _name(field: str, names: tuple[str, ...], numbers: _Reader | None) -> _Reader:
    long = re.compile("|".join(sorted(names, key=len, reverse=True)), re.IGNORECASE)
    short = re.compile("|".join(name[:3] for name in names), re.IGNORECASE)
    order = [name[:3].lower() for name in names]

    def take(reading: _Reading, count: int) -> bool:
        if count < 3 and numbers is not None:
            return numbers(reading, count)
        found = reading.take(short if count == 3 else long)
        return found is not None and reading.put(field, order.index(found[:3].lower()) + 1)

    return take


def _read_fraction(reading: _Reading, count: int) -> bool:
    found = reading.take(re.compile(rf"[0-9]{{{count}}}"))
    return found is not None and reading.put("microsecond", int(found[:6].ljust(6, "0")))


def _read_short_fraction(reading: _Reading, count: int) -> bool:
    found = reading.take(re.compile(rf"[0-9]{{0,{count}}}"))
    return not found or reading.put("microsecond", int(found[:6].ljust(6, "0")))


def _half(reading: _Reading, count: int) -> bool:
    found = reading.take(re.compile("[AP]" if count == 1 else "[AP]M", re.IGNORECASE))
    reading.half = found
    return found is not None


def _zone(reading: _Reading, count: int) -> bool:
    reading.zone = reading.take(re.compile(r"[+-]\d{1,2}:?\d{2}|Z" if count > 2 else r"[+-]\d{1,2}", re.ASCII))
    return reading.zone is not None


def _any_zone(reading: _Reading, _count: int) -> bool:
    reading.zone = reading.take(re.compile(r"Z|[+-]\d{2}:\d{2}|", re.ASCII)) or None
    return True


def _era(reading: _Reading, _count: int) -> bool:
    return reading.take(re.compile(r"A\.?D\.?", re.IGNORECASE)) is not None


_READERS: Mapping[str, _Reader] = {
    "y": _year,
    "M": _name("month", MONTHS, _digits("month")),
    "d": lambda reading, count: (_digits("day") if count < 3 else _name("weekday", DAYS, None))(reading, count),
    "H": _digits("hour"),
    "h": _digits("hour"),
    "m": _digits("minute"),
    "s": _digits("second"),
    "f": _read_fraction,
    "F": _read_short_fraction,
    "t": _half,
    "g": _era,
    "K": _any_zone,
    "z": _zone,
}


def _moment(reading: _Reading, styles: frozenset[str], now: Callable[[], datetime]) -> datetime | None:
    fields = dict(reading.fields)
    weekday = fields.pop("weekday", None)
    hour = clock_hour(fields.pop("hour", 0), reading.half)
    if hour is None:
        return None
    if not fields.keys() & {"year", "month", "day"}:
        date = datetime(1, 1, 1) if "NoCurrentDateDefault" in styles else now()  # noqa: DTZ001 - a day, no moment
        fields |= {"year": date.year, "month": date.month, "day": date.day}
    elif "year" not in fields:
        fields["year"] = now().year
    try:
        moment = datetime(**{"month": 1, "day": 1, **fields}, hour=hour)  # type: ignore[arg-type]  # noqa: DTZ001
        if weekday is not None and moment.isoweekday() != weekday:
            return None
        return placed(moment, reading.zone) if reading.zone else moment
    except (ValueError, OverflowError):
        return None
