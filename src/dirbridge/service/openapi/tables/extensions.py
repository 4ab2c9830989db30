"""What lies under `/beta/dirbridge`."""

from __future__ import annotations

from dirbridge.service.graph import (
    account,
    administrators,
    odata,
    previews,
    provisioning_logs,
    signing_keys,
    staged,
    steering,
)
from dirbridge.service.notify import administration as notifications
from dirbridge.service.openapi.operations import (
    BYTES,
    CSV,
    FORMAT,
    NONE,
    ZIP,
    Body,
    Operation,
    Options,
    Table,
    acts,
    answers,
    gives,
    lists,
    makes,
    options,
)
from dirbridge.service.openapi.shapes.dirbridge import (
    Administrator,
    AgentRelease,
    AgentTrace,
    Decision,
    EnrolledAgent,
    EnrolmentCode,
    JobScope,
    LogCollection,
    Notification,
    Preview,
    ReleaseRepository,
    RepairedAccount,
    SigningKey,
    SignInSession,
    StagedRemoval,
    SynchronizationAccount,
    TestedNotification,
    Validation,
    VerboseTrace,
)
from dirbridge.service.openapi.shapes.logs import ProvisioningObjectSummary
from dirbridge.service.openapi.tables.synchronization import PART
from dirbridge.service.relay import administration as relay
from dirbridge.service.relay import log_collections
from dirbridge.service.relay import traces as relay_traces
from dirbridge.service.releases import administration as releases

EXTENSIONS: Table = {
    "relay.administration.post_code": makes(EnrolmentCode, relay.CodeWish, located=False),
    "relay.administration.get_agents": lists(EnrolledAgent),
    "relay.administration.get_one_agent": gives(EnrolledAgent, NONE),
    "relay.administration.post_revoke": acts(),
    "releases.administration.list_releases": lists(AgentRelease),
    "releases.administration.show_repository": gives(ReleaseRepository, NONE),
    "releases.administration.put_archive": acts(Body("Archive", media=BYTES)),
    "releases.administration.publish": acts(releases.SignedFiles),
    "releases.administration.choose": acts(releases.Choice, refusals=(404,)),
    "relay.traces.get_trace": gives(AgentTrace, NONE),
    "relay.traces.post_start": answers(VerboseTrace, relay_traces.TraceWish),
    "relay.traces.post_stop": acts(),
    "relay.log_collections.post_collection": makes(LogCollection, log_collections.CollectionWish, located=False),
    "relay.log_collections.get_collections": lists(LogCollection),
    "relay.log_collections.get_collection": gives(LogCollection, NONE),
    "relay.log_collections.get_content": Operation(answer="Archive", media=ZIP, options=NONE, refusals=(409,)),
    "relay.log_collections.delete_collection": acts(),
    "notify.administration.post_test": answers(TestedNotification, notifications.TestWish, many=True),
    "notify.administration.get_messages": lists(Notification, Options(frozenset({"top"}), most=1000)),
    "graph.previews.ask": Operation(
        status=202, answer=Preview, body=Body(previews.Wish, optional=True), headers=("Location",)
    ),
    "graph.previews.list_previews": lists(Preview, FORMAT),
    "graph.previews.get_preview": gives(Preview),
    "graph.previews.delete_preview": acts(),
    "graph.previews.list_changes": lists(
        ProvisioningObjectSummary,
        Options(odata.LIST - {"count"}, orders=("activityDateTime",), most=provisioning_logs.MAX_TOP),
    ),
    "graph.previews.download": Operation(answer="Csv", media=CSV, options=NONE, refusals=(409,)),
    "graph.scopes.show_scope": gives(JobScope),
    "graph.staged.list_staged": lists(StagedRemoval, options("filter", "top", "skiptoken", "count", "format")),
    "graph.staged.allow": answers(Decision, staged.Word),
    "graph.staged.reject": answers(Decision, staged.Word),
    "graph.steering.clear_quarantine": acts(),
    "graph.steering.impose_quarantine": acts(Body(steering.Order, optional=True), refusals=(409,)),
    "graph.steering.run_now": acts(refusals=(409,)),
    "graph.account.show": gives(SynchronizationAccount),
    "graph.account.repair": answers(RepairedAccount, Body(account.Wish, optional=True)),
    "graph.administrators.list_all": lists(Administrator, FORMAT),
    "graph.administrators.show": gives(Administrator),
    "graph.administrators.create": makes(Administrator, administrators.New, located=False),
    "graph.administrators.change": acts(administrators.Changes),
    "graph.administrators.reset_password": answers(Administrator, Body(administrators.NewPassword, optional=True)),
    "graph.administrators.remove": acts(),
    "graph.administrator_sign_in.list_sessions": lists(SignInSession, FORMAT),
    "graph.administrator_sign_in.end_session": acts(),
    "graph.administrator_sign_in.revoke": acts(),
    "graph.administrator_sign_in.unlock": acts(),
    "graph.administrator_sign_in.reset_second_factor": acts(),
    "graph.administrator_sign_in.unlink": acts(),
    "graph.signing_keys.list_all": lists(SigningKey, FORMAT),
    "graph.signing_keys.rotate": makes(SigningKey, Body(signing_keys.Rotation, optional=True), located=False),
    "graph.signing_keys.remove": acts(),
    "graph.schema.validate_schema": answers(Validation, PART),
}
