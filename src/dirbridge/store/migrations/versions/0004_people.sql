-- People: what is known of administrators beyond their password.

alter table administrators
    add column display_name text not null default '',
    add column password_changed_at timestamptz not null default now(),
    add column tokens_not_before timestamptz not null default '-infinity';  -- those issued before are refused
create unique index administrators_name on administrators (tenant, lower(user_name));
