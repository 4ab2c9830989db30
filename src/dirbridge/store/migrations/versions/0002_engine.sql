-- Links ---------------------------------------------------------------------------------------------------------------

-- What an entry became at the target, which several mappings of its source type can make different.
alter table links add column target_type text not null default '';
update links set target_type = case object_type when 'group' then 'Group' else 'User' end where target is not null;

-- Scope ---------------------------------------------------------------------------------------------------------------

select 1;

-- References and removals ---------------------------------------------------------------------------------------------

alter table removals add column staged_at timestamptz;  -- since when it waits for a person, or a person rejected it

-- Failures and quarantine ---------------------------------------------------------------------------------------------

-- Entries that failed are counted with every cycle.
create index due_escrows on due (tenant, job, anchor) where attempt > 0;

-- Whether entries were given up that had failed for four weeks, since everything was read last.
alter table jobs add column escrows_pruned boolean not null default false;

-- Notifications and secrets -------------------------------------------------------------------------------------------

-- The secrets of a configuration, each sealed for its key and the place that it may be sent to.
create table configuration_secrets (
    tenant uuid not null,
    service_principal uuid not null,
    key text not null,                          -- Graph's synchronizationSecret
    bound_to text not null,                     -- origins that it may be sent to; empty where none is named
    sealed bytea not null,
    primary key (tenant, service_principal, key),
    foreign key (tenant, service_principal) references service_principals on delete cascade
);

-- Targets outside the transaction, and the synchronization service account --------------------------------------------

-- The values that a target outside has, as far as we know (msgpack); the tenant's own objects are read instead.
alter table links add column written bytea;

-- Previews ------------------------------------------------------------------------------------------------------------

-- A preview's copy lies under a tenant of its own, which nobody else knows.
alter table tenants add column preview_of uuid;

create table previews (
    tenant uuid not null references tenants,
    id uuid not null,                           -- also the tenant of its copy
    job text not null,
    state text not null default 'Waiting',      -- Waiting, Running, Succeeded, Failed, Canceled
    schema jsonb,                               -- instead of the stored one
    settings jsonb,                             -- beside the stored ones
    requested_by text not null,
    created_at timestamptz not null default now(),
    began_at timestamptz,
    renewed_at timestamptz,                     -- the worker's sign of life
    ended_at timestamptz,
    attempt integer not null default 0,
    result jsonb,
    error jsonb,
    primary key (tenant, id)
);
create index previews_open on previews (created_at) where state in ('Waiting', 'Running');
