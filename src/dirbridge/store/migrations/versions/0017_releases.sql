-- Releases of the agent, and who is to have which.

-- The signed files of the repository as they are handed out: every root, and the newest of the other roles.
create table release_files (
    tenant uuid not null references tenants,
    name text not null,
    body bytea not null,
    primary key (tenant, name)
);

-- Archives by their content. Those that no release names are on their way to be published.
create table release_archives (
    tenant uuid not null references tenants,
    sha256 text not null,
    length bigint not null,
    stored_at timestamptz not null default now(),
    primary key (tenant, sha256)
);

create table release_pieces (
    tenant uuid not null,
    sha256 text not null,
    number integer not null,
    body bytea not null,
    primary key (tenant, sha256, number),
    foreign key (tenant, sha256) references release_archives on delete cascade
);
-- Archives are compressed already.
alter table release_pieces alter column body set storage external;

-- The signed list, read: one row for each archive that agents are offered.
create table releases (
    tenant uuid not null,
    name text not null,
    sha256 text not null,
    version text not null,
    python text not null,
    platform text not null,
    requires integer not null,
    channel text not null,
    published_at timestamptz not null default now(),
    primary key (tenant, name),
    foreign key (tenant, sha256) references release_archives
);
create index releases_archive on releases (tenant, sha256);

-- The version that one agent is to have, whatever the others have.
create table wanted_releases (
    tenant uuid not null,
    agent uuid not null,
    version text not null,
    primary key (tenant, agent),
    foreign key (tenant, agent) references agents on delete cascade
);

-- Whose turn it is to be updated: one agent of a domain at a time.
create table update_turns (
    tenant uuid not null,
    domain text not null,
    agent uuid not null,
    until timestamptz not null,
    primary key (tenant, domain),
    foreign key (tenant, agent) references agents on delete cascade
);
