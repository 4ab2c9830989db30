-- Applications: certificates, and what ends their tokens.

alter table service_principals
    add column is_public boolean not null default false,
    add column redirect_uris text[] not null default '{}';

-- An application and its service principal are one row: there is one tenant to know it in. The client id is the
-- application's object id too.
alter table service_principals
    add column tokens_not_before timestamptz not null default '-infinity';     -- those issued before are refused
create index service_principals_created_at on service_principals (tenant, created_at, id);

create table application_certificates (
    tenant uuid not null,
    service_principal uuid not null,
    id uuid not null,                           -- keyId
    display_name text not null default '',
    certificate bytea not null,                 -- DER
    sha1 bytea not null,
    sha256 bytea not null,
    starts_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (tenant, id),
    unique (tenant, service_principal, sha256),
    foreign key (tenant, service_principal) references service_principals on delete cascade
);
