-- Run once by the demo's PostgreSQL container, with psql: the service's own database, and a source database for the demo
-- catalogue with the tables of TPC-H filled with made-up rows (15,000 orders, 60,000 line items, some seconds).
\set ON_ERROR_STOP on
\getenv waitless_password WAITLESS_PASSWORD
\getenv reader_password READER_PASSWORD

create role waitless login password :'waitless_password';
create database waitless owner waitless;
revoke connect on database waitless from public;
create role reader login password :'reader_password' connection limit 50;
create database demo;
\connect demo

create table region (r_regionkey integer primary key, r_name text not null, r_comment text not null);
create table nation (
    n_nationkey integer primary key,
    n_name text not null,
    n_regionkey integer not null references region,
    n_comment text not null
);
create table tenant_nation (tenant text not null, nationkey integer not null references nation, primary key (tenant, nationkey));
create table customer (
    c_custkey integer primary key,
    c_name text not null,
    c_address text not null,
    c_nationkey integer not null references nation,
    c_phone text not null,
    c_acctbal numeric(15, 2) not null,
    c_mktsegment text not null,
    c_comment text not null
);
create table orders (
    o_orderkey integer primary key,
    o_custkey integer not null references customer,
    o_orderstatus text not null,
    o_totalprice numeric(15, 2) not null,
    o_orderdate date not null,
    o_placed_at timestamptz not null,
    o_orderpriority text not null,
    o_clerk text not null,
    o_shippriority integer not null,
    o_comment text not null
);
create table lineitem (
    l_orderkey integer not null references orders,
    l_linenumber integer not null,
    l_partkey integer not null,
    l_suppkey integer not null,
    l_quantity integer not null,
    l_extendedprice numeric(15, 2) not null,
    l_discount numeric(15, 2) not null,
    l_tax numeric(15, 2) not null,
    l_returnflag text not null,
    l_linestatus text not null,
    l_shipdate date not null,
    l_commitdate date not null,
    l_receiptdate date not null,
    l_shipinstruct text not null,
    l_shipmode text not null,
    l_comment text not null,
    primary key (l_orderkey, l_linenumber)
);

-- The same rows each time: numbers from 0 up to `below` that only look random.
create function pick(seed bigint, what text, below integer) returns integer
    language sql immutable parallel safe
    return abs(hashtextextended(what, seed) % below)::integer;
create function choose(seed bigint, what text, choices text[]) returns text
    language sql immutable parallel safe
    return choices[1 + pick(seed, what, cardinality(choices))];

insert into region
select key, name, 'made up'
from unnest(array['AFRICA', 'AMERICA', 'ASIA', 'EUROPE', 'MIDDLE EAST']) with ordinality as names (name, number),
     lateral (select number::integer - 1 as key) keys;

insert into nation
select number::integer - 1, split_part(entry, ':', 1), split_part(entry, ':', 2)::integer, 'made up'
from unnest(array[
    'ALGERIA:0', 'ARGENTINA:1', 'BRAZIL:1', 'CANADA:1', 'EGYPT:4', 'ETHIOPIA:0', 'FRANCE:3', 'GERMANY:3', 'INDIA:2',
    'INDONESIA:2', 'IRAN:4', 'IRAQ:4', 'JAPAN:2', 'JORDAN:4', 'KENYA:0', 'MOROCCO:0', 'MOZAMBIQUE:0', 'PERU:1', 'CHINA:2',
    'ROMANIA:3', 'SAUDI ARABIA:4', 'VIETNAM:2', 'RUSSIA:3', 'UNITED KINGDOM:3', 'UNITED STATES:1'
]) with ordinality as entries (entry, number);

insert into tenant_nation
select 'default', n_nationkey from nation
union all
select lower(replace(r_name, ' ', '-')), n_nationkey from nation join region on r_regionkey = n_regionkey;

insert into customer
select key, 'Customer#' || lpad(key::text, 9, '0'), 'Street ' || pick(key, 'street', 900), pick(key, 'nation', 25),
       format('%s-%s-%s', 10 + pick(key, 'nation', 25), 100 + pick(key, 'phone', 900), 1000 + pick(key, 'number', 9000)),
       (pick(key, 'balance', 1100000) - 100000) / 100.0,
       choose(key, 'segment', array['AUTOMOBILE', 'BUILDING', 'FURNITURE', 'HOUSEHOLD', 'MACHINERY']), 'made up'
from generate_series(1, 1500) key;

insert into orders
select key, 1 + pick(key, 'customer', 1500), choose(key, 'status', array['F', 'O', 'P']), 0, day,
       day + make_interval(mins => pick(key, 'minute', 1440)),
       choose(key, 'priority', array['1-URGENT', '2-HIGH', '3-MEDIUM', '4-NOT SPECIFIED', '5-LOW']),
       'Clerk#' || lpad((1 + pick(key, 'clerk', 100))::text, 9, '0'), 0, choose(key, 'comment', array['quick', 'careful', 'final'])
from generate_series(1, 15000) key,
     lateral (select date '1992-01-01' + pick(key, 'day', 2406) as day) days;

insert into lineitem
select o_orderkey, line, 1 + pick(seed, 'part', 2000), 1 + pick(seed, 'supplier', 100), quantity,
       quantity * (90000 + pick(seed, 'price', 20000)) / 100.0, pick(seed, 'discount', 11) / 100.0, pick(seed, 'tax', 9) / 100.0,
       case when shipped > date '1995-06-17' then 'N' else choose(seed, 'flag', array['A', 'R']) end,
       case when shipped > date '1995-06-17' then 'O' else 'F' end,
       shipped, o_orderdate + 30 + pick(seed, 'commit', 61), shipped + 1 + pick(seed, 'receipt', 30),
       choose(seed, 'instruct', array['COLLECT COD', 'DELIVER IN PERSON', 'NONE', 'TAKE BACK RETURN']),
       choose(seed, 'mode', array['AIR', 'FOB', 'MAIL', 'RAIL', 'REG AIR', 'SHIP', 'TRUCK']),
       choose(seed, 'remark', array['handled with care', '=1+1', 'late again', 'special request'])
from orders,
     generate_series(1, 1 + pick(o_orderkey, 'lines', 7)) line,
     lateral (select o_orderkey * 8::bigint + line as seed) seeds,
     lateral (select 1 + pick(seed, 'quantity', 50) as quantity, o_orderdate + 1 + pick(seed, 'ship', 121) as shipped) items;

update orders set o_totalprice = total
from (select l_orderkey, round(sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)), 2) as total from lineitem group by 1) totals
where l_orderkey = o_orderkey;

create index orders_by_time on orders (o_placed_at);
create index orders_of_customer on orders (o_custkey);
analyze;
-- Reports read with a role that can do nothing else.
grant select on all tables in schema public to reader;
alter role reader set default_transaction_read_only = on;
