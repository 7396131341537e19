drop table ended_sessions;
drop table write_checks;
