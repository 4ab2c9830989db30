"""What a job's administrator decided about faults, deletes and limits: its settings, as the engine uses them.

The settings are text by name, as Graph's synchronizationJobSettings keeps them; here they get types and defaults.
They are checked when somebody changes them, and hold from the next cycle on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from dirbridge.contract.errors import ConfigurationError


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one job.

    Attributes:
        delete_threshold_enabled: deletes and disables are counted and held.
        delete_threshold: the most that may go in 24 hours whatever the share of the whole.
        member_threshold_enabled: what groups lose of their members is counted and held.
        member_threshold: the most members that a group may lose whatever the share of the whole.
        skip_out_of_scope_deletions: what leaves scope is left alone at the target.
        least_failures: failed first exports below which their share is not looked at.
        failure_share: share of a cycle's first exports that may fail, from 0 to 1.
        most_failures: entries that may be set aside, those left out that only lack a reference.
        most_failures_with_references: entries that may be set aside, for whatever reason.
        failed_cycles: cycles that must fail one after the other before a fault that waiting may mend counts.
    """

    delete_threshold_enabled: bool = True
    delete_threshold: int = 500
    member_threshold_enabled: bool = True
    member_threshold: int = 500
    skip_out_of_scope_deletions: bool = False
    least_failures: int = 10
    failure_share: float = 0.4
    most_failures: int = 40_000
    most_failures_with_references: int = 60_000
    failed_cycles: int = 3


class Setting(NamedTuple):
    """One setting: the field that it fills, how its text is read, and what is expected of it.

    Attributes:
        read: gives the value, or None where the text is none.
    """

    field: str
    read: Callable[[str], bool | int | float | None]
    expects: str


def _switch(field: str) -> Setting:
    return Setting(field, lambda text: {"true": True, "false": False}.get(text.strip().lower()), "True or False")


def _number(field: str, most: int = 1_000_000_000) -> Setting:
    def read(text: str) -> int | None:
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(most)):
            return None
        return int(digits) if 1 <= int(digits) <= most else None

    return Setting(field, read, f"a whole number from 1 to {most}")


def _share(field: str) -> Setting:
    def read(text: str) -> float | None:
        try:
            share = float(text)
        except ValueError:
            return None
        return share if 0 < share <= 1 else None

    return Setting(field, read, "a number above 0, at most 1, such as 0.4")


SETTINGS: Mapping[str, Setting] = {
    "DeleteThresholdEnabled": _switch("delete_threshold_enabled"),
    "DeleteThresholdValue": _number("delete_threshold"),
    "MemberThresholdEnabled": _switch("member_threshold_enabled"),
    "MemberThresholdValue": _number("member_threshold"),
    "SkipOutOfScopeDeletions": _switch("skip_out_of_scope_deletions"),
    "QuarantineLeastFailures": _number("least_failures"),
    "QuarantineFailureShare": _share("failure_share"),
    "QuarantineFailures": _number("most_failures"),
    "QuarantineFailuresWithReferences": _number("most_failures_with_references"),
    "QuarantineAfterFailedCycles": _number("failed_cycles", most=1000),
}
"""The settings that a person may change, by name."""


def check(settings: Mapping[str, Any]) -> list[str]:
    """Say what is wrong with the values of settings, a sentence each; other names are not looked at."""
    return [
        f"{name} expects {setting.expects}; found '{settings[name]}'."
        for name, setting in SETTINGS.items()
        if name in settings and setting.read(str(settings[name])) is None
    ]


def unknown(names: Iterable[str]) -> list[str]:
    """Give those names that no setting has."""
    return [name for name in names if name not in SETTINGS]


def of(settings: Mapping[str, Any]) -> Policy:
    """Read a job's settings; what is not set has its default.

    Raises:
        ConfigurationError: values are wrong; all of them are named.
    """
    faults = check(settings)
    if faults:
        raise ConfigurationError(
            " ".join(faults),
            code="InvalidJobSettings",
            recommended_action="Correct them by `dirbridge jobs settings`.",
        )
    values = {
        setting.field: setting.read(str(settings[name])) for name, setting in SETTINGS.items() if name in settings
    }
    return msgspec.convert(values, Policy)


def shown(settings: Mapping[str, Any]) -> dict[str, str]:
    """Give what every setting is, as text: what was set, or else the default."""
    defaults = Policy()
    return {
        name: str(settings[name] if name in settings else getattr(defaults, setting.field))
        for name, setting in SETTINGS.items()
    }
