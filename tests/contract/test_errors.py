"""Errors that cross rooms."""

from __future__ import annotations

import pytest

from dirbridge.contract.errors import (
    ConfigurationError,
    CredentialError,
    DirbridgeError,
    EntryError,
    Fenced,
    TransientError,
    WatermarkExpired,
)


def test_an_error_has_its_four_parts() -> None:
    """And reads as a sentence and what to do."""
    error = ConfigurationError("The port is 'x'.", recommended_action="Give a number.", details={"port": "x"})
    assert (error.code, error.reason, error.recommended_action, error.details) == (
        "InvalidConfiguration", "The port is 'x'.", "Give a number.", {"port": "x"},
    )  # fmt: skip
    assert str(error) == "The port is 'x'. Give a number."
    assert str(TransientError("Away.")) == "Away."


def test_code_of_one_error_is_not_that_of_its_kind() -> None:
    """A code given is its own; the next error of that kind has the kind's."""
    assert TransientError("Away.", code="TimeOut").code == "TimeOut"
    assert TransientError("Away.").code == "TemporarilyUnavailable"


def test_details_are_a_copy() -> None:
    """Who made them may go on using them."""
    details = {"a": "b"}
    error = EntryError("Odd.", details=details)
    details["c"] = "d"
    assert error.details == {"a": "b"}


@pytest.mark.parametrize(
    ("kind", "parent"),
    [
        (ConfigurationError, DirbridgeError),
        (CredentialError, ConfigurationError),
        (TransientError, DirbridgeError),
        (EntryError, DirbridgeError),
        (WatermarkExpired, DirbridgeError),
        (Fenced, DirbridgeError),
    ],
)
def test_tree(kind: type[DirbridgeError], parent: type[DirbridgeError]) -> None:
    """Sorted by what happens next."""
    assert kind.__bases__ == (parent,)
