-- Upgrade: light: a new column.
-- The finished job whose Parquet file this one is made from, in place of the source. Null for every other job, which pays nothing
-- for it.
alter table jobs add column made_from blob check (length(made_from) = 16);
