-- Upgrade: light: a new column.
-- A job may be done although one of its formats could not hold the rows, where its submit allows that.
--
-- Null: such a job fails.
alter table jobs add column on_refusal text check (on_refusal = 'keep_others');
-- Of a job that is done: the formats without a file, each with its problem.
alter table jobs add column refused json check (refused is null or (state = 'done' and on_refusal is not null));
alter table events add column refused json check (refused is null or kind = 'done');
