-- Upgrade: heavy on jobs: new columns, and an index for which the table is read once while writes wait.
-- When the range ends that a submit with recipients was told. Set to null once they were told that it takes longer, so that the
-- index holds only jobs of which that is still to be said. Jobs without recipients, or without a range, are not in it.
alter table jobs add column late_at timestamptz;
create index jobs_late on jobs (late_at)
    where late_at is not null and state in ('pending', 'processing', 'retrying');
-- How far the job was when it was found late: a mail that is tried again says the same. Their `event` is `late` and their `seq` 0:
-- they belong to no event, and there is one a job and recipient.
alter table deliveries add column told json;
