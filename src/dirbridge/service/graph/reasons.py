"""Why an entry failed or was left out: Graph's provisioningErrorInfo, put together when it is read.

What the error itself said comes first; where an event has a code only, the table of codes speaks for it.
"""

from __future__ import annotations

from typing import Any

from dirbridge.contract import codes
from dirbridge.contract.event import Detail


def information(code: str, status: str, detail: Detail) -> dict[str, Any] | None:
    """Give the error information of an event; None where nothing failed and nothing was left out."""
    fault = detail.fault
    code = fault.code if fault else code
    if not code:
        return None
    action = fault.recommended_action if fault else ""
    return {
        "errorCode": code,
        "reason": fault.reason if fault else codes.meaning(code),
        "additionalDetails": _details(detail) or None,
        "errorCategory": codes.category(code, status).value,
        "recommendedAction": action or codes.recommended_action(code) or None,
    }


def _details(detail: Detail) -> str:
    """Give the error's own details, or else the clause that left the entry out."""
    if detail.fault is not None:
        return "; ".join(f"{name}: {value}" for name, value in detail.fault.details.items())
    clauses = [step.details["clause"] for step in detail.steps if step.details.get("clause")]
    return f"clause: {clauses[0]}" if clauses else ""
