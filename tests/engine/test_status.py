"""What is told of a cycle afterwards."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dirbridge.contract.errors import ConfigurationError, CredentialError, TransientError
from dirbridge.engine import status

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "actionable"),
    [(TransientError("Away."), False), (ConfigurationError("Wrong."), True), (CredentialError("No."), True)],
)
def test_error_document(error: TransientError | ConfigurationError, actionable: bool) -> None:
    """Code, sentence, and whether somebody must act."""
    assert status.error_document(error) == {
        "code": error.code,
        "message": str(error),
        "tenantActionable": actionable,
    }
