-- The former constraint on the file's key is not made anew: nothing relies on it.
drop index artifacts_by_key;
drop index jobs_following;
drop index jobs_reusable;
drop index jobs_joinable;
alter table jobs drop column withdrawn_at;
alter table jobs drop column link_seeds;
alter table jobs drop column served;
alter table jobs drop column leader_id;
alter table jobs drop column joined;
alter table jobs drop column fingerprint;
