"""Nudges: an agent whose directory told of a change says so, and the jobs that read that directory are due.

A nudge carries no change and is believed in nothing else: at worst a cycle finds nothing. One that is lost costs the
wait for the job's interval. `store.jobs` sees to it that many of them make no more cycles than is good.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from dirbridge.service.relay.door import PATH, Known, TheDoor, message
from dirbridge.service.relay.refusals import DoorRoute, Refusal
from dirbridge.store import jobs

logger = logging.getLogger(__name__)

router = APIRouter(prefix=PATH, route_class=DoorRoute, include_in_schema=False)
"""The route. It finds the `Door` in the application's state, as `app.state.door`."""


class Nudge(BaseModel):
    """What an agent says when a directory changed.

    Attributes:
        age: seconds since it saw the newest change, by no clock but its own counting.
    """

    model_config = ConfigDict(extra="ignore")

    domain: str = Field(min_length=1, max_length=255)
    age: float = Field(default=0, ge=0, le=86400, allow_inf_nan=False)


@router.post("/nudges")
async def nudge(door: TheDoor, request: Request, agent: Known) -> JSONResponse:
    """Hear that a directory changed."""
    said = await message(request, Nudge)
    domain = said.domain.lower()
    if domain not in agent.domains:
        raise Refusal(
            403,
            "DomainNotEnrolled",
            f"Agent {agent.id} was enrolled for {', '.join(agent.domains)}, not for {domain}.",
            "Enrol it anew with a code for that domain too.",
        )
    async with door.database.transaction() as conn:
        due = await jobs.changed(conn, door.tenant, domain, timedelta(seconds=said.age))
    logger.debug("%s changed; %d jobs are due.", domain, due, extra={"event": "nudged", "agent": str(agent.id)})
    return JSONResponse({"due": due})
