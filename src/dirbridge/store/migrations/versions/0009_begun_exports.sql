-- Exports to a target outside the transaction that make an object, or make it the entry's. A row is committed before
-- the target is asked, and goes with the outcome: what stays may have left an object that no link knows.
create table begun_exports (
    tenant uuid not null,
    job text not null,
    anchor text collate "C" not null,
    object_type text not null,
    target_type text not null,
    name text not null,
    container text collate "C",
    source_anchor text not null,                -- by which the object can be found
    primary key (tenant, job, anchor)
);
