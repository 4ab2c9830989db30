-- What a page of the provisioning log needs.

-- The ends of a schema's first rule: name and id of its source and of its target directory.
create function ends_of(jsonb) returns text[] language sql immutable parallel safe as $$
    select array[source ->> 'name', source ->> 'id', target ->> 'name', target ->> 'id']
    from (select jsonb_path_query_first($1, '$.directories[*] ? (@.name == $name)',
                     json_build_object('name', $1 #> '{synchronizationRules,0,sourceDirectoryName}')::jsonb) as source,
                 jsonb_path_query_first($1, '$.directories[*] ? (@.name == $name)',
                     json_build_object('name', $1 #> '{synchronizationRules,0,targetDirectoryName}')::jsonb) as target
    ) as found
$$;
-- Worked out when a schema is stored: a document of hundreds of kilobytes is too much to unpack for two names.
alter table jobs add column ends text[] not null generated always as (ends_of(schema)) stored;

-- The failures of a month among a million successes.
create index events_status on events (tenant, status, at, id);
