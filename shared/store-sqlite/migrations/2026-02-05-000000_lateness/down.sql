delete from deliveries where event = 'late';
alter table deliveries drop column told;
drop index jobs_late;
alter table jobs drop column late_at;
