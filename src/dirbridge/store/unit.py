"""One transaction of one job: what a target that joins it needs to know."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection


class Unit(msgspec.Struct, frozen=True):
    """An open transaction, the tenant and job that it belongs to, and the time that its writes happen."""

    conn: AsyncConnection[Any]
    tenant: UUID
    job: str
    now: datetime
