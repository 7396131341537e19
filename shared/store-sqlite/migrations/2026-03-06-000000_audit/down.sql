drop table audit_queue;
drop table audit_chains;
drop table audit;
drop table audit_persons;
