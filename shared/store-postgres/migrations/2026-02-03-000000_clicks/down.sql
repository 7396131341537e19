drop table clicks;
alter table links drop column again_job_id;
alter table links drop column views;
