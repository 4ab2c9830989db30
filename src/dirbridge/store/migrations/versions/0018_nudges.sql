-- Directories that say when something changed.

-- begun_at: when the last cycle began. nudged_at: the directory changed then, and no cycle has begun since.
alter table jobs add column begun_at timestamptz, add column nudged_at timestamptz;
