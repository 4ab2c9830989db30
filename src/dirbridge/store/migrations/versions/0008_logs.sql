-- What the logs are asked by.

create index audits_id on audits (tenant, id);
