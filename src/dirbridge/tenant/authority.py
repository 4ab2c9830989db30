"""Who masters an object that came from a source: the source, or people here, to whom it can be handed over and back.

What is cloud-managed is neither written nor deleted by a job (`target` leaves it as it is, and the log says so). Given
back, its next cycle makes it what the source says again.

Source: Graph onPremisesSyncBehavior, isCloudManaged.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from dirbridge.contract.errors import EntryError
from dirbridge.store import directory, jobs, links, references
from dirbridge.store.directory_queries import Conn

SYNC_ENABLED = "onPremisesSyncEnabled"


async def is_cloud_managed(conn: Conn, tenant: UUID, id: UUID) -> bool:
    """Say whether people here master a live object, be it that it never had a source."""
    row = (await directory.read(conn, tenant, [id])).get(id)
    return row is not None and row.sync_job is None


async def to_cloud(conn: Conn, tenant: UUID, id: UUID, at: datetime) -> bool:
    """Hand an object over to people; it keeps its link, values and relations. False where they have it already."""
    row = (await directory.read(conn, tenant, [id], lock=True)).get(id)
    if row is None or row.deleted_at is not None or row.sync_job is None:
        return False
    await directory.hand_over(conn, tenant, id, {**row.properties, SYNC_ENABLED: False}, None, at)
    return True


async def to_source(conn: Conn, tenant: UUID, id: UUID, at: datetime) -> bool:
    """Give an object back to its source. False where that has it already.

    What people changed is overwritten by the next cycle, which is due now; relations that the source does not have go
    at once.

    Raises:
        EntryError: no entry of a source stands for it.
    """
    known = (await directory.read(conn, tenant, [id])).get(id)
    if known is None or known.deleted_at is not None or known.sync_job is not None:
        return False
    holder = (await links.holders(conn, tenant, [id])).get(id)
    if not known.cloud_managed or holder is None or holder.state != "provisioned":
        raise EntryError(
            "The object has no entry in a source directory that it could be given back to.",
            code="Request_BadRequest",
            recommended_action="Leave it to the cloud, or bring its entry back into the scope of a job first.",
        )
    # Links and references before the object, in the order in which a page takes them.
    await links.forget_targets(conn, tenant, [id])
    await references.lose(conn, tenant, holder.job, [holder.anchor])
    row = (await directory.read(conn, tenant, [id], lock=True)).get(id)
    if row is None or row.deleted_at is not None or row.sync_job is not None:
        return False  # somebody was quicker
    await directory.hand_over(conn, tenant, id, {**row.properties, SYNC_ENABLED: True}, holder.job, at)
    await directory.unrefer_unsourced(conn, tenant, id, holder.job, holder.anchor)
    await jobs.nudge(conn, tenant, holder.job)
    return True
