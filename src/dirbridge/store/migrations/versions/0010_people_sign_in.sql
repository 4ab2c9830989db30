-- What sign-in leaves behind. Whatever a client or browser carries is stored as its SHA-256 digest.

alter table administrators
    add column last_sign_in timestamptz,
    add column totp_secret bytea,               -- sealed; null where no second factor is asked for
    add column totp_confirmed boolean not null default false,
    add column totp_step bigint not null default 0,     -- the last time step whose code was used
    add column external_subject text;           -- issuer and subject at the outside provider, once they were seen
create unique index administrators_subject on administrators (tenant, external_subject);

-- Guesses that failed, by what is guessed at and by where from: names that nobody has count like those that somebody has.
create table guesses (
    tenant uuid not null references tenants,
    key bytea not null,                         -- digest of a name, an address or a code
    failures integer not null,
    last_at timestamptz not null,
    blocked_until timestamptz not null,
    primary key (tenant, key)
);
create index guesses_last_at on guesses (last_at);

create table sessions (                         -- of browsers
    tenant uuid not null,
    digest bytea not null,
    id uuid not null,                           -- by which a list names it
    administrator uuid not null,
    signed_in_at timestamptz not null,
    last_seen_at timestamptz not null,
    expires_at timestamptz not null,
    methods text[] not null,                    -- RFC 8176
    address text not null default '',
    browser text not null default '',
    primary key (tenant, digest),
    unique (tenant, id),
    foreign key (tenant, administrator) references administrators on delete cascade
);
create index sessions_administrator on sessions (tenant, administrator);
create index sessions_expires_at on sessions (expires_at);

create table grants (                           -- what a person lets an application do, from one sign-in on
    tenant uuid not null,
    id uuid not null,                           -- `sid` of the tokens
    administrator uuid not null,
    service_principal uuid not null,
    scopes text[] not null,
    methods text[] not null,
    signed_in_at timestamptz not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,            -- nothing that it gave is good any longer
    ended_at timestamptz,
    ended_because text not null default '',     -- a sentence for whoever presents what it gave
    primary key (tenant, id),
    foreign key (tenant, administrator) references administrators on delete cascade,
    foreign key (tenant, service_principal) references service_principals on delete cascade
);
create index grants_administrator on grants (tenant, administrator);
create index grants_service_principal on grants (tenant, service_principal);
create index grants_expires_at on grants (expires_at);

create table refresh_tokens (
    tenant uuid not null,
    digest bytea not null,
    grant_id uuid not null,
    parent bytea,                               -- the token in whose place it was given
    expires_at timestamptz not null,
    used_at timestamptz,
    is_void boolean not null default false,     -- another was given in its place, because nobody had received it
    primary key (tenant, digest),
    foreign key (tenant, grant_id) references grants on delete cascade
);
create index refresh_tokens_grant on refresh_tokens (tenant, grant_id);
create index refresh_tokens_expires_at on refresh_tokens (expires_at);

-- What applications were allowed to do for people: by one of them for themselves, or for everybody.
create table consents (
    tenant uuid not null,
    service_principal uuid not null,
    administrator uuid,                         -- null where it holds for everybody
    scopes text[] not null,
    consented_at timestamptz not null,
    foreign key (tenant, administrator) references administrators on delete cascade,
    foreign key (tenant, service_principal) references service_principals on delete cascade
);
create unique index consents_of_one on consents (tenant, service_principal, administrator)
    where administrator is not null;
create unique index consents_of_all on consents (tenant, service_principal) where administrator is null;
create index consents_administrator on consents (tenant, administrator);

alter table service_principals
    add column delegated_permissions text[] not null default '{}';  -- what it may be allowed to do for people

create table authorization_codes (
    tenant uuid not null,
    digest bytea not null,
    service_principal uuid not null,
    administrator uuid not null,
    redirect_uri text not null,
    scopes text[] not null,
    asked text not null,                        -- scopes as the client spelled them, for the answer
    challenge text,
    challenge_method text,
    nonce text,
    methods text[] not null,
    signed_in_at timestamptz not null,
    expires_at timestamptz not null,
    used_at timestamptz,
    grant_id uuid,                              -- what it was exchanged for
    primary key (tenant, digest),
    foreign key (tenant, administrator) references administrators on delete cascade,
    foreign key (tenant, service_principal) references service_principals on delete cascade
);
create index authorization_codes_administrator on authorization_codes (tenant, administrator);
create index authorization_codes_service_principal on authorization_codes (tenant, service_principal);
create index authorization_codes_expires_at on authorization_codes (expires_at);

create table device_codes (
    tenant uuid not null,
    digest bytea not null,
    user_code text not null,                    -- folded, without the hyphen
    service_principal uuid not null,
    scopes text[] not null,
    asked text not null,                        -- scopes as the client spelled them, for the answer
    state text not null default 'pending' check (state in ('pending', 'approved', 'declined', 'redeemed')),
    administrator uuid,
    methods text[],
    signed_in_at timestamptz,
    polled_at timestamptz,
    interval_seconds integer not null,
    expires_at timestamptz not null,
    primary key (tenant, digest),
    unique (tenant, user_code),
    foreign key (tenant, administrator) references administrators on delete cascade,
    foreign key (tenant, service_principal) references service_principals on delete cascade
);
create index device_codes_administrator on device_codes (tenant, administrator);
create index device_codes_service_principal on device_codes (tenant, service_principal);
create index device_codes_expires_at on device_codes (expires_at);
