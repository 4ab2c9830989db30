-- The tenant's change feed: each object and each reference knows the transaction that changed it last, and what is gone
-- leaves a row of its own for as long as delta tokens live.

-- The default is evaluated once for the rows that are there: they count as changed by this migration.
alter table directory_objects add column changed xid8 not null default pg_current_xact_id();
create index directory_objects_changed on directory_objects (tenant, object_type, changed, id);

alter table directory_references add column changed xid8 not null default pg_current_xact_id();
create index directory_references_changed on directory_references (tenant, attribute, changed, owner, referenced);

create table purged_objects (
    tenant uuid not null references tenants,
    id uuid not null,
    object_type text not null,
    changed xid8 not null default pg_current_xact_id(),
    removed_at timestamptz not null default now(),
    primary key (tenant, id)
);
create index purged_objects_changed on purged_objects (tenant, object_type, changed, id);
create index purged_objects_removed_at on purged_objects using brin (removed_at);

create table removed_references (
    tenant uuid not null references tenants,
    owner uuid not null,
    attribute text not null,
    referenced uuid not null,
    changed xid8 not null default pg_current_xact_id(),
    removed_at timestamptz not null default now(),
    primary key (tenant, owner, attribute, referenced)
);
create index removed_references_changed on removed_references (tenant, attribute, changed, owner, referenced);
create index removed_references_removed_at on removed_references using brin (removed_at);
