-- Traces that are wanted of agents.

-- A verbose trace for a time, the last order of each agent. It ends by its time, whether or not it is taken back.
create table trace_orders (
    tenant uuid not null references tenants,
    agent uuid not null,
    id uuid not null,
    until timestamptz not null,
    shows_values boolean not null,
    primary key (tenant, agent),
    foreign key (tenant, agent) references agents on delete cascade
);

-- A copy of what an agent has on its host: traces, journal, check, versions. Wanted, then brought part by part.
create table log_collections (
    tenant uuid not null references tenants,
    id uuid not null,
    agent uuid not null,
    hours integer not null,                     -- how far back
    state text not null default 'waiting' check (state in ('waiting', 'ready', 'failed')),
    failure text not null default '',
    size bigint not null default 0,
    wanted_at timestamptz not null default now(),
    ended_at timestamptz,
    primary key (tenant, id),
    foreign key (tenant, agent) references agents on delete cascade
);
create unique index log_collections_waiting on log_collections (tenant, agent) where state = 'waiting';

create table log_collection_parts (
    tenant uuid not null references tenants,
    collection uuid not null,
    number integer not null,
    body bytea not null,                        -- of a zip file
    primary key (tenant, collection, number),
    foreign key (tenant, collection) references log_collections on delete cascade
);
-- It is compressed already.
alter table log_collection_parts alter column body set storage external;
