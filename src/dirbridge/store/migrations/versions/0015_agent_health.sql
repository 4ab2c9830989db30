-- How agents are.

alter table agents add column reported_at timestamptz;   -- of `report`; requests alone say no more than that it lives
