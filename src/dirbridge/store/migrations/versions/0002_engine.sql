-- Links ---------------------------------------------------------------------------------------------------------------

-- What an entry became at the target, which several mappings of its source type can make different.
alter table links add column target_type text not null default '';
update links set target_type = case object_type when 'group' then 'Group' else 'User' end where target is not null;

-- Scope ---------------------------------------------------------------------------------------------------------------

-- The groups that a job's schema document names as its scope, and what is known of them.
create table scope_groups (
    tenant uuid not null,
    job text not null,
    anchor text collate "C" not null,
    name text not null default '',
    container text collate "C",
    reason text not null default 'NotReadYet',  -- why it holds its scope; empty where it can be read
    is_read boolean not null default false,     -- its members have been known whole
    changed_at timestamptz not null default now(),
    primary key (tenant, job, anchor),
    foreign key (tenant, job) references jobs on delete cascade
);

-- Those groups, the groups nested in them, and the members of all. `via` is one of the groups that let a row in; it is
-- null for a scoping group. The rows are a forest: a cycle of groups holds nobody in scope.
create table scope_members (
    tenant uuid not null,
    job text not null,
    anchor text collate "C" not null,
    via text collate "C",
    is_deleted boolean not null default false,  -- a nested group with a tombstone: it lets nobody in
    is_doubted boolean not null default false,  -- only inside a transaction, while what it hung from is gone
    primary key (tenant, job, anchor)
);
create index scope_members_via on scope_members (tenant, job, via, anchor);
create index scope_members_doubted on scope_members (tenant, job) where is_doubted;

-- References and removals ---------------------------------------------------------------------------------------------

alter table removals add column staged_at timestamptz;  -- since when it waits for a person, or a person rejected it

-- Entries of other jobs that references of this one waited for.
create table arrivals (
    tenant uuid not null,
    job text not null,
    anchor text collate "C" not null,
    primary key (tenant, job, anchor),
    foreign key (tenant, job) references jobs on delete cascade
);

-- Members that groups lost at the source and the target still has; once taken away, they count for 24 hours. What is
-- open here is not in `entry_references`, which says what the source has. Half a million rows may come at once.
create table member_removals (
    tenant uuid not null,
    job text not null,
    owner text collate "C" not null,
    attribute text not null,                    -- source attribute
    referenced text collate "C" not null,
    state text not null,                        -- pending, staged, rejected, allowed, done
    staged_at timestamptz,
    done_at timestamptz,
    primary key (tenant, job, owner, attribute, referenced)
);
create index member_removals_referenced on member_removals (tenant, job, referenced) where state <> 'done';
create index member_removals_done on member_removals (tenant, job, done_at) where state = 'done';

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
-- What was told of a job, so that nothing is told twice.
create table notification_states (
    tenant uuid not null,
    job text not null,
    watched_since timestamptz,                  -- since when it was seen active; null while it is not
    quarantine_told text[] not null default '{}',   -- reason/code of all that was told of the present quarantine
    late_told_at timestamptz,                   -- when it was told that it has no success
    primary key (tenant, job),
    foreign key (tenant, job) references jobs on delete cascade
);

-- The outbox: what there is to tell, written in the transaction in which it happened.
create table notices (
    tenant uuid not null,
    id uuid not null,
    job text not null,
    kind text not null,                         -- quarantined, quarantineChanged, deletesHeld, disabled, late, recovered
    at timestamptz not null,
    reason text not null,                       -- of the quarantine
    code text not null,                         -- of the error behind it
    message text not null,
    recommended_action text not null default '',
    routed_at timestamptz,                      -- when it was known to whom it goes
    primary key (tenant, id),
    foreign key (tenant, job) references jobs on delete cascade
);
create index notices_job on notices (tenant, job, at);
create index notices_unrouted on notices (at) where routed_at is null;

-- Mails and webhook calls. A mail gathers notices until it is due.
create table messages (
    tenant uuid not null references tenants,
    id uuid not null,                           -- Message-ID and webhook-id, the same in every attempt
    channel text not null,                      -- mail, webhook
    recipient text not null,                    -- a mailbox or an address
    service_principal uuid,                     -- the configuration whose webhook it is; null for the service's own
    state text not null,                        -- gathering, waiting, sent, failed
    attempts integer not null default 0,
    due timestamptz not null,
    answer text not null default '',            -- what the other side said last
    created_at timestamptz not null,
    settled_at timestamptz,
    primary key (tenant, id)
);
create index messages_due on messages (due) where state in ('gathering', 'waiting');
create index messages_recipient on messages (tenant, recipient, created_at);
create unique index messages_gathering on messages (tenant, recipient) where state = 'gathering';

create table message_notices (
    tenant uuid not null,
    message uuid not null,
    notice uuid not null,
    primary key (tenant, message, notice),
    foreign key (tenant, message) references messages on delete cascade,
    foreign key (tenant, notice) references notices on delete cascade
);
create index message_notices_notice on message_notices (tenant, notice);

-- The synchronization service account ---------------------------------------------------------------------------------

-- The values that a target outside has, as far as we know (msgpack); the tenant's own objects are read instead.
alter table links add column written bytea;

-- References to be written to a target outside, or taken away there; each goes when that is done. Those of one owner
-- are asked for in one order, removals first.
create table reference_exports (
    tenant uuid not null,
    job text not null,
    owner text collate "C" not null,
    attribute text not null,                    -- target attribute
    is_added boolean not null,
    referenced text collate "C" not null,
    owner_target text not null,
    referenced_target text not null,
    referenced_name text not null,
    at timestamptz not null default now(),      -- when it is due
    attempt integer not null default 0,
    since timestamptz,                          -- when it failed first
    primary key (tenant, job, owner, attribute, referenced)
);
create index reference_exports_order on reference_exports (tenant, job, owner, attribute, is_added, referenced);
create index reference_exports_referenced on reference_exports (tenant, job, referenced);

-- When a delete that the target refused is tried again.
alter table removals
    add column attempt integer not null default 0,
    add column failing_since timestamptz,
    add column retry_at timestamptz;

-- As whom jobs write the tenant directory: a user of it.
create table synchronization_accounts (
    tenant uuid primary key references tenants,
    id uuid not null,                           -- of its user, who may be deleted like any other
    roles text[] not null
);

-- What the account accepts: digests of secrets of 256 random bits.
create table synchronization_credentials (
    tenant uuid not null,
    id uuid not null,
    account uuid not null,
    digest bytea not null,
    expires_at timestamptz,                     -- null: never
    primary key (tenant, id)
);

-- What each job presents: a secret, sealed.
create table job_credentials (
    tenant uuid not null,
    job text not null,
    credential uuid not null,
    sealed bytea not null,
    primary key (tenant, job),
    foreign key (tenant, job) references jobs on delete cascade
);

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
