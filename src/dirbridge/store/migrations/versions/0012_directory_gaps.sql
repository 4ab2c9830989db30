-- What is kept for the directory's part of the API.

-- Objects that came from a source and are changed here now: no job writes them until they are given back.
alter table directory_objects add column cloud_managed boolean not null default false;
create index directory_objects_cloud_managed on directory_objects (tenant, id) where cloud_managed;

create index directory_objects_source_name
    on directory_objects (tenant, object_type, (lower(properties ->> 'onPremisesUserPrincipalName') collate "C"))
    where deleted_at is null and properties ->> 'onPremisesUserPrincipalName' is not null;
