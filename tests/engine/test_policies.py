"""Settings of a job: text becomes typed limits, and what is wrong is named."""

from typing import Any

import pytest

from dirbridge.contract.errors import ConfigurationError
from dirbridge.engine import policies
from dirbridge.engine.policies import Policy


def test_what_is_not_set_has_its_default() -> None:
    """The documented limits hold for a job of which nothing was set; names of other rooms are left alone."""
    assert policies.of({"DomainFQDN": "contoso.test"}) == Policy(
        delete_threshold_enabled=True,
        delete_threshold=500,
        member_threshold_enabled=True,
        member_threshold=500,
        skip_out_of_scope_deletions=False,
        least_failures=10,
        failure_share=0.4,
        most_failures=40_000,
        most_failures_with_references=60_000,
        failed_cycles=3,
    )


def test_every_setting_reaches_its_field() -> None:
    """Each name, set to another value than its default, changes its own field only."""
    given: dict[str, tuple[str, Any]] = {
        "DeleteThresholdEnabled": ("false", False),
        "DeleteThresholdValue": ("7", 7),
        "MemberThresholdEnabled": ("False", False),
        "MemberThresholdValue": ("8", 8),
        "SkipOutOfScopeDeletions": ("TRUE", True),
        "QuarantineLeastFailures": ("9", 9),
        "QuarantineFailureShare": ("0.25", 0.25),
        "QuarantineFailures": ("11", 11),
        "QuarantineFailuresWithReferences": ("12", 12),
        "QuarantineAfterFailedCycles": ("13", 13),
    }
    assert set(given) == set(policies.SETTINGS)
    defaults = Policy()
    for name, (text, value) in given.items():
        policy = policies.of({name: text})
        changed = {
            field: getattr(policy, field)
            for field in Policy.__struct_fields__
            if getattr(policy, field) != getattr(defaults, field)
        }
        assert changed == {policies.SETTINGS[name].field: value}
        assert policies.shown({name: text})[name] == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DeleteThresholdEnabled", "yes"),
        ("DeleteThresholdValue", "0"),
        ("DeleteThresholdValue", "-5"),
        ("DeleteThresholdValue", "5.0"),
        ("DeleteThresholdValue", "1000000001"),
        ("DeleteThresholdValue", "\u0665"),
        ("QuarantineFailureShare", "0"),
        ("QuarantineFailureShare", "1.01"),
        ("QuarantineFailureShare", "nan"),
        ("QuarantineFailureShare", "40%"),
        ("QuarantineAfterFailedCycles", "1001"),
        ("QuarantineLeastFailures", ""),
    ],
)
def test_a_wrong_value_is_named_with_what_is_expected(name: str, text: str) -> None:
    """A value out of bounds or of another kind is a fault with name, expectation and finding."""
    (fault,) = policies.check({name: text})
    assert fault == f"{name} expects {policies.SETTINGS[name].expects}; found '{text}'."


def test_all_wrong_values_are_reported_at_once() -> None:
    """Stored values that cannot be used stop the job with a reason, not with a guess."""
    with pytest.raises(ConfigurationError) as caught:
        policies.of({"QuarantineFailureShare": "2", "DeleteThresholdValue": "many"})
    assert caught.value.code == "InvalidJobSettings"
    assert "QuarantineFailureShare" in str(caught.value)
    assert "'many'" in str(caught.value)
