-- Applications' owners, and signing keys that come and go.

alter table keys
    add column signs_from timestamptz;          -- of keys for tokens: the one that began last signs
update keys set signs_from = created_at;
alter table keys
    alter column signs_from set default now(),
    alter column signs_from set not null;

alter table service_principals
    -- False for an application that is registered only: nobody can act as it.
    add column has_principal boolean not null default true,
    -- Which application this is to the service itself; null for all but a few.
    add column built_in text check (built_in in ('graph', 'command line')),
    add column description text,
    add column tags text[] not null default '{}',
    add column public_redirect_uris text[] not null default '{}',   -- those of redirect_uris that lead to a device
    add column required_permissions text[] not null default '{}';   -- application permissions that it says it needs
create unique index service_principals_built_in on service_principals (tenant, built_in);
create index service_principals_display_name
    on service_principals (tenant, (lower(display_name) collate "C"), id);

update service_principals set tags = '{WindowsAzureActiveDirectoryIntegratedApp}';
update service_principals p set built_in = 'command line'
where display_name = 'dirbridge command line' and not exists (
    select from service_principals older
    where older.tenant = p.tenant and older.display_name = p.display_name
        and (older.created_at, older.id) < (p.created_at, p.id)
);

-- Microsoft Graph is an application that the tenant knows, as scripts look its permissions up there.
insert into service_principals (tenant, id, app_id, display_name, built_in)
select id, md5(id::text || 'graph')::uuid, '00000003-0000-0000-c000-000000000000', 'Microsoft Graph', 'graph'
from tenants where preview_of is null;

create table application_owners (
    tenant uuid not null,
    service_principal uuid not null,
    owner uuid generated always as (coalesce(application, administrator)) stored,
    application uuid,
    administrator uuid,
    primary key (tenant, service_principal, owner),
    check (num_nonnulls(application, administrator) = 1),
    foreign key (tenant, service_principal) references service_principals on delete cascade,
    foreign key (tenant, application) references service_principals on delete cascade,
    foreign key (tenant, administrator) references administrators on delete cascade
);
create index application_owners_application on application_owners (tenant, application);
create index application_owners_administrator on application_owners (tenant, administrator);
