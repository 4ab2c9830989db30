-- Synchronization and agents, as Graph shows them.

-- Agents in no group, and resources in none, belong to the default group, which has no row.
create table agent_groups (
    tenant uuid not null references tenants,
    id uuid not null,
    display_name text not null,
    created_at timestamptz not null default now(),
    primary key (tenant, id)
);

create table published_resources (
    tenant uuid not null references tenants,
    id uuid not null,
    display_name text not null,
    resource_name text not null,                -- the domain, in lower case
    created_at timestamptz not null default now(),
    primary key (tenant, id),
    unique (tenant, resource_name)
);

create table agent_group_agents (
    tenant uuid not null,
    agent_group uuid not null,
    agent uuid not null,
    primary key (tenant, agent_group, agent),
    foreign key (tenant, agent_group) references agent_groups on delete cascade,
    foreign key (tenant, agent) references agents on delete cascade
);

create table agent_group_resources (
    tenant uuid not null,
    agent_group uuid not null,
    resource uuid not null,
    primary key (tenant, agent_group, resource),
    foreign key (tenant, agent_group) references agent_groups on delete cascade,
    foreign key (tenant, resource) references published_resources on delete cascade
);

-- Documents of which a tenant has one each, in Graph's shape: what was changed of the defaults.
create table tenant_settings (
    tenant uuid not null references tenants,
    name text not null,                         -- hybridAgentUpdaterConfiguration, onPremisesSynchronization
    document jsonb not null,
    changed_at timestamptz not null default now(),
    primary key (tenant, name)
);
