drop table audit_queue;
drop table audit_chains;
drop table audit;
drop table audit_persons;
drop function waitless_keep_audit;
drop function waitless_keep_all_audit;
