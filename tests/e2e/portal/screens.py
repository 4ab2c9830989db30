"""Every screen of the portal, by the name of its picture. What stands in braces is filled in by a `story`."""

from __future__ import annotations

SCREENS: dict[str, str] = {
    "overview": "/portal",
    "configurations": "/portal/configurations",
    "configuration": "/portal/configurations/{other}",
    "quarantine": "/portal/configurations/{job}",
    "staged-deletes": "/portal/configurations/{job}/deletes",
    "allow-deletes": "/portal/configurations/{job}/deletes/ask?word=allow-all",
    "properties": "/portal/configurations/{other}/properties",
    "failures": "/portal/configurations/{job}/escrows",
    "delete-configuration": "/portal/configurations/{other}/delete",
    "restart": "/portal/configurations/{other}/restart",
    "on-demand": "/portal/configurations/{other}/on-demand?dn=u0000001",
    "previews": "/portal/configurations/{job}/preview",
    "preview": "/portal/configurations/{job}/preview/{preview}",
    "agents": "/portal/agents",
    "agent": "/portal/agents/{agent}",
    "add-agent": "/portal/agents/new",
    "insights": "/portal/insights",
    "insights-one": "/portal/configurations/{other}/insights?span=24h",
    "logs": "/portal/logs",
    "logs-failures": "/portal/logs?status=failure&span=7d",
    "audit": "/portal/audit",
    "event": "/portal/logs/{event}",
    "event-failed": "/portal/logs/{failed}",
}
