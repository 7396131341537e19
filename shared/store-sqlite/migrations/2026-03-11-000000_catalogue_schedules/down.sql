drop index schedules_catalogue;
alter table schedules drop column catalogue;
alter table schedules drop column editions;
alter table schedules drop column held_at;
