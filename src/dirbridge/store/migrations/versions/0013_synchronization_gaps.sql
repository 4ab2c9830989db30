-- Synchronization: templates that were changed, and which agents serve a domain.

-- The schema document that new jobs of an application begin with, where somebody changed the template's own.
create table template_schemas (
    tenant uuid not null,
    application uuid not null,                  -- the client id that an application and its service principal share
    template text not null,
    schema jsonb not null,
    changed_at timestamptz not null default now(),
    primary key (tenant, application, template),
    foreign key (tenant, application) references service_principals (tenant, app_id) on delete cascade
);

-- The agents of the groups that a domain is assigned to. A domain without a row is served by every agent that is
-- enrolled for it; one with a row, only by the agents that are named. A group without agents gives a row without one.
create view assigned_agents as
select resource.tenant, resource.resource_name as domain, member.agent
from published_resources resource
join agent_group_resources assigned on assigned.tenant = resource.tenant and assigned.resource = resource.id
left join agent_group_agents member
    on member.tenant = assigned.tenant and member.agent_group = assigned.agent_group;
