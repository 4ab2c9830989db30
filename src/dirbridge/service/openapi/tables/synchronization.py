"""What lies under a configuration: jobs, templates, schema documents, secrets; and what mappings are made of."""

from __future__ import annotations

from dirbridge.contract.schema import Schema
from dirbridge.service.graph import expressions, job_actions, job_settings, jobs, ondemand, root, secrets
from dirbridge.service.openapi.operations import (
    FEW,
    FORMAT,
    NONE,
    Body,
    Options,
    Table,
    acts,
    answers,
    counts,
    gives,
    lists,
    makes,
    options,
    refused,
)
from dirbridge.service.openapi.shapes.synchronization import (
    ChangedTemplate,
    FilterOperator,
    MappingFunction,
    ParseExpressionResponse,
    Pinged,
    ProvisionedOnDemand,
    SynchronizationDirectory,
    SynchronizationJob,
    SynchronizationRoot,
    SynchronizationSchema,
    SynchronizationSecret,
    SynchronizationTemplate,
)

_WITH_SCHEMA = Options(frozenset({"format", "top", "expand"}), relations=("schema",))
_ONE_WITH_SCHEMA = Options(frozenset({"format", "expand"}), relations=("schema",))

WHOLE = Body(Schema, required=("synchronizationRules", "directories"), name="WholeSchema")
PART = Body(Schema, required=(), name="PartOfSchema")

SYNCHRONIZATION: Table = {
    "graph.root.get_root": gives(SynchronizationRoot),
    "graph.root.ping": gives(Pinged),
    "graph.root.put_root": acts(root.Whole),
    "graph.root.delete_root": acts(),
    "graph.jobs.list_jobs": lists(SynchronizationJob, _WITH_SCHEMA),
    "graph.jobs.count_jobs": counts(),
    "graph.jobs.create_job": makes(SynchronizationJob, jobs.NewJob),
    "graph.jobs.get_job": gives(SynchronizationJob, _ONE_WITH_SCHEMA),
    "graph.jobs.change_job": acts(job_settings.JobChange),
    "graph.jobs.delete_job": acts(),
    "graph.job_actions.start_job": acts(),
    "graph.job_actions.pause_job": acts(),
    "graph.job_actions.restart_job": acts(Body(job_actions.Restart, optional=True)),
    "graph.job_actions.try_credentials": acts(Body(job_actions.Trial, optional=True)),
    "graph.job_actions.try_job_credentials": acts(Body(job_actions.Trial, optional=True)),
    "graph.job_actions.acquire_access_token": refused(),
    "graph.job_actions.refuse_upload": refused(),
    "graph.job_templates.list_templates": lists(SynchronizationTemplate, _WITH_SCHEMA),
    "graph.job_templates.count_templates": counts(),
    "graph.job_templates.get_template": gives(SynchronizationTemplate, _ONE_WITH_SCHEMA),
    "graph.job_templates.change_template": acts(ChangedTemplate),
    "graph.job_templates.get_template_schema": gives(SynchronizationSchema, options("format", "expand")),
    "graph.job_templates.replace_template_schema": acts(WHOLE),
    "graph.job_templates.merge_template_schema": acts(PART),
    "graph.job_templates.reset_template_schema": acts(),
    "graph.schema.get_schema": gives(SynchronizationSchema, options("format", "expand"), headers=("ETag",)),
    "graph.schema.replace_schema": acts(WHOLE, asks=("If-Match",)),
    "graph.schema.merge_schema": acts(PART, asks=("If-Match",)),
    "graph.schema.reset_schema": acts(asks=("If-Match",)),
    "graph.schema.job_operators": lists(FilterOperator, FORMAT),
    "graph.schema.template_operators": lists(FilterOperator, FORMAT),
    "graph.schema.list_operators": lists(FilterOperator, FORMAT),
    "graph.schema.get_operator": gives(FilterOperator),
    "graph.directories.list_directories": lists(SynchronizationDirectory, FEW),
    "graph.directories.count_directories": counts(NONE),
    "graph.directories.get_directory": gives(SynchronizationDirectory),
    "graph.directories.discover": gives(SynchronizationDirectory, None),
    "graph.expressions.list_functions": lists(MappingFunction, FORMAT),
    "graph.expressions.get_function": gives(MappingFunction),
    "graph.expressions.job_functions": lists(MappingFunction, FORMAT),
    "graph.expressions.template_functions": lists(MappingFunction, FORMAT),
    "graph.expressions.parse_for_job": answers(ParseExpressionResponse, expressions.Attempt),
    "graph.expressions.parse_for_template": answers(ParseExpressionResponse, expressions.Attempt),
    "graph.secrets.list_secrets": lists(SynchronizationSecret, FEW),
    "graph.secrets.count_secrets": counts(),
    "graph.secrets.replace_secrets": acts(secrets.Pairs),
    "graph.ondemand.provision_on_demand": answers(ProvisionedOnDemand, ondemand.Demand),
}
