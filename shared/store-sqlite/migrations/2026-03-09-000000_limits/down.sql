update jobs set set_aside = null, rung_at = created_at where set_aside like '=/report:%:%';
drop index jobs_run_of;
drop index jobs_rung_for;
drop index jobs_in_line;
alter table jobs drop column rung_for;
alter table jobs drop column limit_key;
drop table run_limits;
