-- Upgrade: light: new columns without values, and an index on none of the rows there are.
-- Schedules that stand in files of the catalogue.
-- report/name; null: somebody made it. With the tenant it is the schedule's identity.
alter table schedules add column catalogue text;
-- JSON list of what the place said: the newest, which is in force, first; an empty text where it said nothing.
alter table schedules add column editions text;
-- When a gateway said last that it has what is in force.
alter table schedules add column held_at timestamptz;
create unique index schedules_catalogue on schedules (tenant, catalogue) where catalogue is not null;
