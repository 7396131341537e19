update jobs set rung_at = created_at where state = 'pending' and set_aside is not null;
alter table report_versions drop column source;
drop index jobs_set_aside;
drop index jobs_turns;
alter table jobs drop column rung_by;
alter table jobs drop column set_aside;
drop table pauses;
drop table turns;
