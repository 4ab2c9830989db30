"""What is stored of the portal's job."""

from __future__ import annotations

from typing import Any

from tests.service.portal.conftest import Portal


async def schema(portal: Portal) -> dict[str, Any]:
    """Give the job's schema document."""
    ((found,),) = await portal.entrance.run("select schema from jobs where id = %s", [portal.job])
    assert isinstance(found, dict)
    return found
