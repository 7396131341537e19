update jobs set rung_at = now() where state = 'pending' and set_aside is not null;
drop index report_versions_of_source;
alter table report_versions drop column source;
drop index jobs_set_aside;
drop index jobs_turns;
alter table jobs drop column rung_by, drop column set_aside;
drop table pauses;
drop table turns;
