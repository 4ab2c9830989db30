-- What failed of one job is looked for the most, and is little of the log: an index of its own that the rest does not pay
-- for.

create index events_job_unwell on events (tenant, job, at, id) where status <> 'success';
