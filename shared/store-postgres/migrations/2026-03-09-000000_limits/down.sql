update jobs set set_aside = null, rung_at = now() where set_aside like '=/report:%:%';
drop index jobs_in_line;
alter table jobs drop column limit_key;
drop table run_limits;
