-- Applications: certificates, owners, permissions.

alter table service_principals
    add column is_public boolean not null default false,
    add column redirect_uris text[] not null default '{}';
