-- Upgrade: light: new tables.
-- Sessions of browsers that were signed out before their cookie's time was over. A session has no row while it lives: its cookie is
-- sealed, and any gateway can open it. A row goes once no cookie of its session can be good any more.
create table ended_sessions (
    id       blob primary key not null check (length(id) = 16),
    ended_at integer not null
);
create index ended_sessions_by_age on ended_sessions (ended_at);

-- One row, written now and then to see whether anything can be: a database may answer and take nothing.
create table write_checks (
    id integer primary key check (id = 1),
    at integer not null
);
