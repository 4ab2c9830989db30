-- What the provisioning log and the audit trail are filtered by, among a million rows.

create index events_job on events (tenant, job, at, id);
create index events_cycle on events (tenant, cycle, at, id);
create index events_action on events (tenant, action, at, id);
create index events_reason on events (tenant, reason, at, id);
-- The beginning of a name, in which case does not count; a whole name may be too long for an index.
create index events_source_name on events (tenant, (left(lower(source_name), 250) collate "C"));
create index events_target_name on events (tenant, (left(lower(target_name), 250) collate "C"));

create index audits_activity on audits (tenant, (lower(activity) collate "C"), at, id);
create index audits_target on audits (tenant, (lower(target) collate "C"), at, id);
create index audits_person on audits
    (tenant, (lower(case when not starts_with(actor, 'application ') then actor end) collate "C"), at, id);
create index audits_application on audits
    (tenant, (lower(case when starts_with(actor, 'application ') then substr(actor, 13) end) collate "C"), at, id);
