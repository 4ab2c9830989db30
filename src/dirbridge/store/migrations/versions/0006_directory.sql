-- What the directory is asked by. Texts are compared without their case and in the order of bytes, so that one index
-- serves equality, ranges, prefixes and sorting. Properties with few values (country, userType, ...) have none: the walk
-- by id finds a page of them soon, and every index costs each write.

-- The elements of a JSON array as they are compared; null where it is none.
create function folded_texts(jsonb) returns text[] language sql immutable strict parallel safe as $$
    select array(select lower(jsonb_array_elements_text($1))) where jsonb_typeof($1) = 'array'
$$;

-- The words of a name: parted where letters turn from small to capital, at digits, and at all that is neither.
create function words_of(text) returns tsvector language sql immutable strict parallel safe as $$
    select to_tsvector('pg_catalog.simple', regexp_replace(
        regexp_replace($1, '([[:lower:]])(?=[[:upper:]])|([[:alpha:]])(?=[[:digit:]])|([[:digit:]])(?=[[:alpha:]])',
                       '\1\2\3 ', 'g'),
        '[^[:alnum:]]+', ' ', 'g'))
$$;

-- What finds names with words that begin with the words of a text, all of them.
create function beginnings_of(text) returns tsquery language sql immutable strict parallel safe as $$
    select string_agg(quote_literal(lexeme) || ':*', ' & ')::tsquery from unnest(words_of($1))
$$;

drop index directory_objects_deleted;
drop index directory_objects_mail;
drop index directory_objects_user_principal_name;

create index directory_objects_deleted on directory_objects (tenant, object_type, deleted_at, id)
    where deleted_at is not null;
create index directory_objects_created on directory_objects (tenant, object_type, created_at, id)
    where deleted_at is null;
create index directory_objects_user_principal_name
    on directory_objects (tenant, object_type, (coalesce(lower(user_principal_name), '') collate "C"), id)
    where deleted_at is null;
create index directory_objects_mail on directory_objects (tenant, object_type, (lower(mail) collate "C"))
    where deleted_at is null and mail is not null;

create index directory_objects_mail_nickname
    on directory_objects (tenant, object_type, (lower(properties ->> 'mailNickname') collate "C"))
    where deleted_at is null and properties ->> 'mailNickname' is not null;
create index directory_objects_given_name
    on directory_objects (tenant, object_type, (lower(properties ->> 'givenName') collate "C"))
    where deleted_at is null and properties ->> 'givenName' is not null;
create index directory_objects_surname
    on directory_objects (tenant, object_type, (lower(properties ->> 'surname') collate "C"))
    where deleted_at is null and properties ->> 'surname' is not null;
create index directory_objects_department
    on directory_objects (tenant, object_type, (lower(properties ->> 'department') collate "C"))
    where deleted_at is null and properties ->> 'department' is not null;
create index directory_objects_job_title
    on directory_objects (tenant, object_type, (lower(properties ->> 'jobTitle') collate "C"))
    where deleted_at is null and properties ->> 'jobTitle' is not null;
create index directory_objects_employee_id
    on directory_objects (tenant, object_type, (lower(properties ->> 'employeeId') collate "C"))
    where deleted_at is null and properties ->> 'employeeId' is not null;
create index directory_objects_account_name
    on directory_objects (tenant, object_type, (lower(properties ->> 'onPremisesSamAccountName') collate "C"))
    where deleted_at is null and properties ->> 'onPremisesSamAccountName' is not null;
create index directory_objects_security_identifier
    on directory_objects (tenant, (properties ->> 'onPremisesSecurityIdentifier'))
    where deleted_at is null and properties ->> 'onPremisesSecurityIdentifier' is not null;

create index directory_objects_addresses on directory_objects using gin (folded_texts(properties -> 'proxyAddresses'))
    where deleted_at is null and properties -> 'proxyAddresses' is not null;
create index directory_objects_other_mails on directory_objects using gin (folded_texts(properties -> 'otherMails'))
    where deleted_at is null and properties -> 'otherMails' is not null;
create index directory_objects_words on directory_objects using gin (words_of(display_name))
    where deleted_at is null and display_name is not null;
create index directory_objects_description on directory_objects using gin (words_of(properties ->> 'description'))
    where deleted_at is null and properties ->> 'description' is not null;
