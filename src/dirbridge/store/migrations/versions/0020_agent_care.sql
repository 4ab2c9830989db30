-- What is remembered of agents for who looks after them.

-- By which an administrator follows a code; the code itself is known by its digest only.
alter table enrolment_codes add column id uuid not null default gen_random_uuid();
create unique index on enrolment_codes (tenant, id);

-- What went wrong at an agent, as its heartbeats told: the last few.
create table agent_errors (
    tenant uuid not null references tenants,
    agent uuid not null,
    id uuid not null,
    at timestamptz not null default now(),
    domain text,
    code text not null,
    message text not null,
    recommended_action text not null,
    primary key (tenant, agent, id),
    foreign key (tenant, agent) references agents on delete cascade
);

-- Agents that are to be updated at once, whatever hour or date is set for all of them; until then.
create table update_orders (
    tenant uuid not null references tenants,
    agent uuid not null,
    id uuid not null,
    until timestamptz not null,
    primary key (tenant, agent),
    foreign key (tenant, agent) references agents on delete cascade
);
