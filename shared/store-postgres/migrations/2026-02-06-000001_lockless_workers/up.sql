-- Upgrade: light: a column may be empty, and a function is replaced.
-- Workers that hold no lock: behind a pooler a session is nobody's beyond a transaction. Their heartbeat alone says that they live.
-- A version that does not know of it always writes the key.
alter table workers alter column lock_key drop not null;

-- Whether a worker's lock says that it is gone. Ours until the end of the transaction if so.
create or replace function waitless_lock_is_free(worker uuid) returns boolean
    language plpgsql volatile
    as $$
    declare
        key constant bigint := waitless_lock_key(worker);
    begin
        if exists (select from workers w where w.id = worker and w.lock_key is null) then
            return false;
        end if;
        -- A pooler of sessions may have handed us the very session that holds it, and to that it would look free.
        if exists (select from pg_locks
                   where locktype = 'advisory' and pid = pg_backend_pid() and objsubid = 1
                     and classid::bigint = ((key >> 32) & 4294967295) and objid::bigint = (key & 4294967295)) then
            return false;
        end if;
        return pg_try_advisory_xact_lock(key);
    end
    $$;
