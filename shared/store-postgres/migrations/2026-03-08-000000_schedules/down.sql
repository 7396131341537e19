drop table schedule_notices;
drop table firings;
drop table schedules;
