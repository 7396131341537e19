-- The demo source: the tables of TPC-H, and two additions of ours. orders.o_placed_at is o_orderdate with a time of day, and
-- tenant_nation says which tenant may see the customers of which nation: `default` all, and one tenant a region.
create table region (
    r_regionkey integer primary key,
    r_name text not null,
    r_comment text not null
);
create table nation (
    n_nationkey integer primary key,
    n_name text not null,
    n_regionkey integer not null references region,
    n_comment text not null
);
create table tenant_nation (
    tenant text not null,
    nationkey integer not null references nation,
    primary key (tenant, nationkey)
) without rowid;
create table customer (
    c_custkey integer primary key,
    c_name text not null,
    c_address text not null,
    c_nationkey integer not null references nation,
    c_phone text not null,
    c_acctbal decimal(15, 2) not null,
    c_mktsegment text not null,
    c_comment text not null
);
create table supplier (
    s_suppkey integer primary key,
    s_name text not null,
    s_address text not null,
    s_nationkey integer not null references nation,
    s_phone text not null,
    s_acctbal decimal(15, 2) not null,
    s_comment text not null
);
create table part (
    p_partkey integer primary key,
    p_name text not null,
    p_mfgr text not null,
    p_brand text not null,
    p_type text not null,
    p_size integer not null,
    p_container text not null,
    p_retailprice decimal(15, 2) not null,
    p_comment text not null
);
create table partsupp (
    ps_partkey integer not null references part,
    ps_suppkey integer not null references supplier,
    ps_availqty integer not null,
    ps_supplycost decimal(15, 2) not null,
    ps_comment text not null,
    primary key (ps_partkey, ps_suppkey)
);
create table orders (
    o_orderkey integer primary key,
    o_custkey integer not null references customer,
    o_orderstatus text not null,
    o_totalprice decimal(15, 2) not null,
    o_orderdate date not null,
    o_placed_at timestamp not null,
    o_orderpriority text not null,
    o_clerk text not null,
    o_shippriority integer not null,
    o_comment text not null
);
create table lineitem (
    l_orderkey integer not null references orders,
    l_linenumber integer not null,
    l_partkey integer not null references part,
    l_suppkey integer not null references supplier,
    l_quantity integer not null,
    l_extendedprice decimal(15, 2) not null,
    l_discount decimal(15, 2) not null,
    l_tax decimal(15, 2) not null,
    l_returnflag text not null,
    l_linestatus text not null,
    l_shipdate date not null,
    l_commitdate date not null,
    l_receiptdate date not null,
    l_shipinstruct text not null,
    l_shipmode text not null,
    l_comment text not null,
    primary key (l_orderkey, l_linenumber)
) without rowid;
