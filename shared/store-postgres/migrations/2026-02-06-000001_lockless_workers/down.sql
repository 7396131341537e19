-- The function of before would judge a worker without a key by a lock that it does not hold.
delete from workers where lock_key is null;
alter table workers alter column lock_key set not null;
create or replace function waitless_lock_is_free(worker uuid) returns boolean
    language plpgsql volatile
    as $$
    declare
        key constant bigint := waitless_lock_key(worker);
    begin
        if exists (select from pg_locks
                   where locktype = 'advisory' and pid = pg_backend_pid() and objsubid = 1
                     and classid::bigint = ((key >> 32) & 4294967295) and objid::bigint = (key & 4294967295)) then
            return false;
        end if;
        return pg_try_advisory_xact_lock(key);
    end
    $$;
