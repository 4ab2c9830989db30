-- Every table carries the tenant. Anchors are opaque text, compared bytewise.

create table tenants (
    id uuid primary key,
    name text not null,
    initial_domain text not null,
    base_url text not null,
    created_at timestamptz not null default now()
);

create table domains (
    tenant uuid not null references tenants,
    name text not null,
    is_initial boolean not null default false,
    is_default boolean not null default false,
    is_verified boolean not null default true,
    primary key (tenant, name)
);

-- Identity ------------------------------------------------------------------------------------------------------------

-- Private keys, sealed with the key that lies outside the database.
create table keys (
    tenant uuid not null references tenants,
    purpose text not null,                 -- ca, tls, token
    id text not null,
    sealed bytea not null,
    public bytea not null,                 -- certificate in PEM
    created_at timestamptz not null default now(),
    retired_at timestamptz,
    primary key (tenant, purpose, id)
);

create table administrators (
    tenant uuid not null references tenants,
    id uuid not null,
    user_name text not null,
    password_hash text not null,
    roles text[] not null default '{}',
    is_disabled boolean not null default false,
    created_at timestamptz not null default now(),
    primary key (tenant, id),
    unique (tenant, user_name)
);

create table service_principals (
    tenant uuid not null references tenants,
    id uuid not null,
    app_id uuid not null,
    display_name text not null,
    app_roles text[] not null default '{}',     -- application permissions as Graph names them
    template_id uuid,                           -- the application template it was made from
    is_enabled boolean not null default true,
    created_at timestamptz not null default now(),
    primary key (tenant, id),
    unique (tenant, app_id)
);

create table service_principal_credentials (
    tenant uuid not null,
    service_principal uuid not null,
    id uuid not null,
    display_name text not null default '',
    secret_hash text not null,
    hint text not null default '',
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    primary key (tenant, id),
    foreign key (tenant, service_principal) references service_principals on delete cascade
);

create table audits (
    tenant uuid not null references tenants,
    id uuid not null,
    at timestamptz not null default now(),
    actor text not null,
    activity text not null,
    target text not null default '',
    detail jsonb not null default '{}',
    primary key (tenant, at, id)
);

-- Agents --------------------------------------------------------------------------------------------------------------

create table agents (
    tenant uuid not null references tenants,
    id uuid not null,
    machine_name text not null,
    version text not null default '',
    domains text[] not null,
    public_key bytea not null,                  -- SubjectPublicKeyInfo in DER
    certificate bytea not null,                 -- PEM
    expires_at timestamptz not null,
    enrolled_at timestamptz not null default now(),
    last_heard timestamptz,
    address text not null default '',
    report jsonb not null default '{}',         -- what the agent says of itself: uptime, last error, ...
    revoked_at timestamptz,
    primary key (tenant, id)
);

create table enrolment_codes (
    tenant uuid not null references tenants,
    secret_hash bytea not null,
    domains text[] not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    used_by uuid,
    primary key (tenant, secret_hash)
);

create table used_assertions (
    tenant uuid not null references tenants,
    issuer text not null,
    jti text not null,
    expires_at timestamptz not null,
    primary key (tenant, issuer, jti)
);

create table agent_requests (
    tenant uuid not null references tenants,
    id uuid not null,
    domain text not null,
    replica text,
    body bytea not null,                        -- contract.wire.Request, coded
    state text not null default 'waiting',      -- waiting, taken, answered
    attempt integer not null default 0,
    agent uuid,
    next_page integer not null default 0,       -- the page the reader wants next; lower ones have been consumed
    created_at timestamptz not null default now(),
    renewed_at timestamptz,                     -- the agent's lease
    read_at timestamptz not null default now(), -- the reader's lease
    primary key (tenant, id)
);
create index agent_requests_open on agent_requests (tenant, domain, created_at) where state in ('waiting', 'taken');

create table agent_pages (
    tenant uuid not null,
    request uuid not null,
    attempt integer not null,
    number integer not null,
    body bytea not null,                        -- contract.wire.Answer, coded
    is_last boolean not null default false,
    received_at timestamptz not null default now(),
    primary key (tenant, request, attempt, number),
    foreign key (tenant, request) references agent_requests on delete cascade
);
alter table agent_pages alter column body set storage external;

-- Jobs ----------------------------------------------------------------------------------------------------------------

create table jobs (
    tenant uuid not null references tenants,
    id text not null,
    service_principal uuid not null,
    template_id text not null,
    domain text not null,                       -- the source directory that the agents serve
    state text not null default 'Paused',       -- schedule state: Active, Paused, Disabled
    interval interval not null default '2 minutes',
    next_run timestamptz,
    generation bigint not null default 0,
    schema jsonb not null,
    settings jsonb not null default '{}',
    full_read_wanted boolean not null default true,
    full_read uuid,                             -- the full read under way; its anchors are in `seen`
    full_read_watermarked boolean not null default false,   -- it has stored a position to go on from
    cycle uuid,                                 -- the cycle under way
    progress jsonb,
    quarantine jsonb,
    last_execution jsonb,
    last_success jsonb,
    last_success_with_exports jsonb,
    steady_first timestamptz,
    steady_last timestamptz,
    successive_failures integer not null default 0,
    deletes_allowed boolean not null default false,
    created_at timestamptz not null default now(),
    primary key (tenant, id),
    foreign key (tenant, service_principal) references service_principals
);
create index jobs_next_run on jobs (next_run) where state = 'Active';

create table watermarks (
    tenant uuid not null,
    job text not null,
    replica text not null,
    position bytea not null,
    taken_at timestamptz not null default now(),
    primary key (tenant, job, replica),
    foreign key (tenant, job) references jobs on delete cascade
);

-- The tables that a full read fills have no foreign keys: a check a row would double their cost. `jobs.delete` and the
-- directory's own statements keep them whole.
create table links (
    tenant uuid not null,
    job text not null,
    anchor text collate "C" not null,
    object_type text not null,                  -- source object type
    name text not null default '',
    container text collate "C",
    target uuid,
    state text not null,                        -- provisioned, skipped, failed, deprovisioned
    reason text not null default '',            -- why skipped or failed
    digest bytea,                               -- of what was last written
    changed_at timestamptz not null default now(),
    primary key (tenant, job, anchor)
);
create index links_target on links (tenant, target) where target is not null;
create index links_state on links (tenant, job, state, object_type);

create table containers (
    tenant uuid not null,
    job text not null,
    anchor text collate "C" not null,
    parent text collate "C",
    name text not null,
    primary key (tenant, job, anchor),
    foreign key (tenant, job) references jobs on delete cascade
);

-- The source's references, complete for every owner, in scope or not.
create table entry_references (
    tenant uuid not null,
    job text not null,
    owner text collate "C" not null,
    attribute text not null,
    referenced text collate "C" not null,
    is_written boolean not null default false,
    primary key (tenant, job, owner, attribute, referenced)
);
create index entry_references_referenced on entry_references (tenant, job, referenced, attribute);
create index entry_references_missing on entry_references (tenant, job, owner) where not is_written;

-- What a full read, or a whole membership list in parts, has shown so far.
create table seen (
    tenant uuid not null,
    job text not null,
    full_read uuid not null,
    anchor text collate "C" not null,
    primary key (tenant, job, full_read, anchor)
);

create table seen_references (
    tenant uuid not null,
    job text not null,
    owner text collate "C" not null,
    attribute text not null,
    referenced text collate "C" not null,
    primary key (tenant, job, owner, attribute, referenced)
);

create table due (
    tenant uuid not null,
    job text not null,
    anchor text collate "C" not null,
    reason text not null,                       -- code: UniqueValueTaken, NotVisibleInSource, AccountExpires, ...
    at timestamptz not null,
    attempt integer not null default 0,
    since timestamptz not null default now(),
    waits_for text,                             -- unique value that another holds, as kind:value
    primary key (tenant, job, anchor, reason)
);
create index due_at on due (tenant, job, at);
create index due_waits_for on due (tenant, waits_for) where waits_for is not null;

-- Deletes and disables: found, staged, done. Rows that are done count against the threshold for 24 hours.
create table removals (
    tenant uuid not null,
    job text not null,
    anchor text collate "C" not null,
    object_type text not null,
    action text not null,                       -- delete, disable
    evidence text not null,                     -- Tombstone, OutOfScope, Disabled
    state text not null default 'pending',      -- pending, staged, allowed, done
    found_at timestamptz not null default now(),
    done_at timestamptz,
    primary key (tenant, job, anchor),
    foreign key (tenant, job) references jobs on delete cascade
);
create index removals_done on removals (tenant, job, object_type, done_at) where state = 'done';

-- Log -----------------------------------------------------------------------------------------------------------------

create table events (
    tenant uuid not null,
    id uuid not null,
    at timestamptz not null,
    job text not null,
    cycle uuid not null,
    change uuid not null,
    action text not null,
    status text not null,
    reason text not null,
    source_id text not null,
    source_type text not null,
    source_name text not null,
    target_id text not null,
    target_type text not null,
    target_name text not null,
    duration integer not null,
    detail bytea not null,                      -- contract.event.Detail, msgpack and zstd
    primary key (tenant, at, id)
) partition by range (at);
alter table events alter column detail set storage external;
create table events_default partition of events default;
create index events_id on events (tenant, id);
create index events_source on events (tenant, source_id, at);
create index events_target on events (tenant, target_id, at);

-- The tenant directory ------------------------------------------------------------------------------------------------

create table directory_objects (
    tenant uuid not null references tenants,
    id uuid not null,
    object_type text not null,                  -- user, group
    display_name text,
    user_principal_name text,
    mail text,
    immutable_id text,                          -- source anchor as the cloud keeps it
    sync_job text,                              -- the job that masters it; null for objects made here
    properties jsonb not null,                  -- by Graph's property names; everything, also what has a column
    shadow jsonb not null default '{}',         -- values as they were asked for where the visible ones differ
    created_at timestamptz not null default now(),
    modified_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (tenant, id)
);
create index directory_objects_live on directory_objects (tenant, object_type, id) where deleted_at is null;
create index directory_objects_deleted on directory_objects (tenant, object_type, deleted_at) where deleted_at is not null;
create index directory_objects_immutable_id on directory_objects (tenant, immutable_id) where immutable_id is not null;
create index directory_objects_display_name
    on directory_objects (tenant, object_type, (coalesce(lower(display_name), '') collate "C"), id) where deleted_at is null;
create index directory_objects_mail on directory_objects (tenant, lower(mail)) where mail is not null;
create index directory_objects_user_principal_name
    on directory_objects (tenant, lower(user_principal_name)) where user_principal_name is not null;

create table directory_references (
    tenant uuid not null,
    owner uuid not null,
    attribute text not null,                    -- members, manager, owners, ...
    referenced uuid not null,
    primary key (tenant, owner, attribute, referenced)
);
create index directory_references_referenced on directory_references (tenant, referenced, attribute);

-- Values that only one live object may have.
create table unique_values (
    tenant uuid not null,
    kind text not null,                         -- userPrincipalName, address
    value text collate "C" not null,            -- folded
    owner uuid not null,
    primary key (tenant, kind, value)
);
create index unique_values_owner on unique_values (tenant, owner);
