drop index artifacts_by_key;
alter table artifacts add constraint artifacts_object_key_key unique (object_key);
drop index jobs_following;
drop index jobs_reusable;
drop index jobs_joinable;
alter table jobs
    drop column withdrawn_at,
    drop column link_seeds,
    drop column served,
    drop column leader_id,
    drop column joined,
    drop column fingerprint;
