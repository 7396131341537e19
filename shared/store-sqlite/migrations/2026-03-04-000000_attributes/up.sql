-- Upgrade: light: new columns.
-- What credentials say of whoever asks. A key's are for everybody who uses it; a job's are those of its submitter, frozen and sealed
-- as sensitive parameters are.
--
-- Null: nothing is said.
alter table api_keys add column attributes text;
alter table jobs add column attributes text;
