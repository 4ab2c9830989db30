"""The tenant, its logs, and batches."""

from __future__ import annotations

import msgspec

from dirbridge.service.graph import batch, directory_audits, odata, on_premises, provisioning_logs, tenant
from dirbridge.service.openapi.operations import (
    Operation,
    Options,
    Table,
    acts,
    answers,
    gives,
    lists,
    makes,
)
from dirbridge.service.openapi.shapes import Selectable
from dirbridge.service.openapi.shapes.batch import BatchAnswers
from dirbridge.service.openapi.shapes.logs import DirectoryAudit, ProvisioningObjectSummary
from dirbridge.service.openapi.shapes.tenant import (
    Domain,
    OnPremisesDirectorySynchronization,
    Organization,
)

_ITEM = Options(odata.ITEM)
_SETTINGS = Options(odata.ITEM, select=("id", "configuration", "features"))


def _selectable(of: type[Selectable], *more: str) -> Options:
    """The options of a resource that `$select` cuts down."""
    names = [field.encode_name for field in msgspec.structs.fields(of)]
    return Options(odata.ITEM | set(more), select=[name for name in names if not name.startswith("@")])


def log_options(names: frozenset[str], select: tuple[str, ...], most: int) -> Options:
    """The options of a list that is read by time."""
    return Options(names, select=select, orders=("activityDateTime",), most=most)


def _log(module: str, of: type, names: tuple[str, ...], most: int, one: str, many: str) -> dict[str, Operation]:
    return {
        f"{module}.{many}": lists(of, log_options(odata.LIST - {"count"}, names, most)),
        f"{module}.{one}": gives(of, Options(odata.ITEM, select=names)),
    }


TENANT: Table = {
    "graph.tenant.list_organizations": lists(Organization, _selectable(Organization)),
    "graph.tenant.get_organization": gives(Organization, _selectable(Organization)),
    "graph.tenant.change_organization": acts(tenant.OrganizationChange, refusals=(409,)),
    "graph.tenant.list_domains": lists(Domain, _selectable(Domain, "top")),
    "graph.tenant.get_domain": gives(Domain, _selectable(Domain)),
    "graph.tenant.add_domain": makes(Domain, tenant.NewDomain),
    "graph.on_premises.list_settings": lists(OnPremisesDirectorySynchronization, _SETTINGS),
    "graph.on_premises.get_settings": gives(OnPremisesDirectorySynchronization, _SETTINGS),
    "graph.on_premises.change_settings": acts(on_premises.Change),
}
LOGS: Table = {
    **_log(
        "graph.provisioning_logs", ProvisioningObjectSummary, tuple(provisioning_logs.KNOWN.values()),
        provisioning_logs.MAX_TOP, "get_event", "list_events",
    ),
    **_log(
        "graph.directory_audits", DirectoryAudit, tuple(directory_audits.KNOWN.values()), directory_audits.MAX_TOP,
        "get_audit", "list_audits",
    ),
}  # fmt: skip
BATCH: Table = {"graph.batch.batch": answers(BatchAnswers, batch.Batch)}
