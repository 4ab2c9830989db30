-- Counts that are kept, so that nobody has to count everything.

-- What the log's events come to, by hour. Writers only add rows to `new_event_counts`, so that none waits for another;
-- housekeeping folds them into `event_counts`, where a job of '' stands for all jobs of the tenant together.
create table new_event_counts (
    tenant uuid not null,
    job text not null,
    hour timestamptz not null,
    action text not null,
    status text not null,
    reason text not null,
    latency smallint not null,                  -- number of the time span of event_counts.LATENCIES, -1 where not measured
    number bigint not null
);
create index new_event_counts_hour on new_event_counts (tenant, hour);
create table event_counts (
    tenant uuid not null,
    job text not null,
    hour timestamptz not null,
    action text not null,
    status text not null,
    reason text not null,
    latency smallint not null,
    number bigint not null,
    primary key (tenant, job, hour, action, status, reason, latency)
);
create index event_counts_hour on event_counts (hour);

insert into new_event_counts
select e.tenant, e.job, date_trunc('hour', e.at, 'UTC'), e.action, e.status, e.reason, -1, count(*)
from events e join tenants t on t.id = e.tenant and t.preview_of is null
group by 1, 2, 3, 4, 5, 6;

-- When the change that the cycle under way is for was first told of; else when the cycle began.
alter table jobs add column noticed_at timestamptz;

-- Entries that are at the target. Each change of links adds the differences; housekeeping folds them.
create table link_counts (
    tenant uuid not null,
    job text not null,
    object_type text not null,
    target_type text not null,
    number bigint not null
);
create index link_counts_job on link_counts (tenant, job);

insert into link_counts
select tenant, job, object_type, target_type, count(*) from links where state = 'provisioned' group by 1, 2, 3, 4;

create function count_new_links() returns trigger language plpgsql as $$
begin
    insert into link_counts
    select tenant, job, object_type, target_type, count(*) from after where state = 'provisioned' group by 1, 2, 3, 4;
    return null;
end $$;
create function count_gone_links() returns trigger language plpgsql as $$
begin
    insert into link_counts
    select tenant, job, object_type, target_type, -count(*) from before where state = 'provisioned' group by 1, 2, 3, 4;
    return null;
end $$;
create function count_changed_links() returns trigger language plpgsql as $$
begin
    insert into link_counts
    select tenant, job, object_type, target_type, sum(one)
    from (select tenant, job, object_type, target_type, 1 as one from after where state = 'provisioned'
          union all
          select tenant, job, object_type, target_type, -1 from before where state = 'provisioned') as both_sides
    group by 1, 2, 3, 4 having sum(one) <> 0;
    return null;
end $$;
create trigger links_inserted after insert on links referencing new table as after
    for each statement execute function count_new_links();
create trigger links_deleted after delete on links referencing old table as before
    for each statement execute function count_gone_links();
create trigger links_updated after update on links referencing old table as before new table as after
    for each statement execute function count_changed_links();
