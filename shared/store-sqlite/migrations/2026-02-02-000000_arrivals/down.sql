drop index jobs_done;
alter table jobs drop column forecast;
