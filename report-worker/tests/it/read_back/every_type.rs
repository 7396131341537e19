//! Every type of PostgreSQL that a column can have, with values at its edges.

/// What a reader takes a column for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// Text that nobody wrote: a length of time, an amount of money.
    Measure,
    /// JSON in the order and with the spaces of `to_json`.
    List,
    Bool,
    Number,
    Single,
    Double,
    Day,
    Time,
    /// With a zone.
    Instant,
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// Its type.
    pub(super) sql: &'static str,
    pub(super) kind: Kind,
    /// One a row, null in the rows behind the last.
    pub(super) values: &'static [&'static str],
}

const fn column(sql: &'static str, kind: Kind, values: &'static [&'static str]) -> Column {
    Column { sql, kind, values }
}

/// Types and functions that the table needs.
pub(super) const SETUP: &str = r#"
create extension if not exists citext;
create type mood as enum ('glad', 'so so', '=sad');
create type pair as (a int, b text);
create domain cents as numeric(10, 2);
create domain pairs as pair;
create type ours as range (subtype = text);
do $$ begin execute format('alter database %I set intervalstyle = iso_8601', current_database()); end $$;
set intervalstyle = iso_8601;
create function told(value anyelement) returns text language sql as
  $$ select case when value is distinct from null then format('%s', value) end $$;
create function told_bool(value boolean) returns text language sql as
  $$ select case value when true then 'true' when false then 'false' end $$;
create function told_list(value anyarray) returns text language sql as
  $$ select case pg_typeof(value) when 'oidvector'::regtype then replace(array_to_json(value)::text, '"', '')
       else array_to_json(value)::text end $$;
create function told_day(value date) returns text language sql as $$
  select case when not isfinite(value) then value::text else (
    select case when y between 0 and 9999 then lpad(y::text, 4, '0')
           else (case when y < 0 then '-' else '+' end) || lpad(abs(y)::text, 6, '0') end
      from (select extract(year from value)::int + (extract(year from value) < 0)::int as y) as years)
    || to_char(value, '-MM-DD') end $$;
create function told_time(value timestamp) returns text language sql as $$
  select case when not isfinite(value) then value::text else
    told_day(value::date) || to_char(value, ' HH24:MI:SS') ||
    case when to_char(value, 'US') = '000000' then '' else to_char(value, '.US') end end $$;
create function told_instant(value timestamptz) returns text language sql as $$
  select told_time(value at time zone 'UTC') || case when isfinite(value) then 'Z' else '' end $$;
create function days(value date) returns text language sql as
  $$ select case when isfinite(value) then (value - date '1970-01-01')::text end $$;
create function micros(value timestamp) returns text language sql as
  $$ select case when isfinite(value) then (extract(epoch from value) * 1000000)::bigint::text end $$;
"#;

/// The table. Types that a table cannot have a column of (`unknown`, `void`, pseudo-types) are left out.
pub(super) const COLUMNS: &[Column] = &[
    column("boolean", Kind::Bool, &["true", "false", "null"]),
    column("smallint", Kind::Number, &["-32768", "32767", "0", "null"]),
    column("integer", Kind::Number, &["-2147483648", "2147483647", "0"]),
    column(
        "bigint",
        Kind::Number,
        &["-9223372036854775808", "9223372036854775807", "999999999999999", "1000000000000000", "-1"],
    ),
    column("oid", Kind::Number, &["0", "4294967295"]),
    column("real", Kind::Single, &["0.1", "-3.4028235e38", "1e-45", "'NaN'", "'Infinity'", "16777217", "'-0'"]),
    column(
        "double precision",
        Kind::Double,
        &[
            "0.1",
            "1.7976931348623157e308",
            "5e-324",
            "'NaN'",
            "'-Infinity'",
            "-1e-5",
            "123456789012345680",
            "'-0'",
            "2.2250738585072014e-308",
        ],
    ),
    column(
        "numeric",
        Kind::Number,
        &[
            "0",
            "0.000",
            "-0.00001",
            "123456789012345678901234567890.00010",
            "1e400",
            "1e-400",
            "'NaN'",
            "'-Infinity'",
            "1.10",
        ],
    ),
    column("numeric(20, 4)", Kind::Number, &["-9999999999999999.9999", "0.0001", "0", "1234.5", "-0.5"]),
    column("numeric(38, 0)", Kind::Number, &["99999999999999999999999999999999999999", "-1", "123456789012345"]),
    column("numeric(6, -2)", Kind::Number, &["1234567", "0", "-99"]),
    column("cents", Kind::Number, &["1.5", "-12345678.99"]),
    column("money", Kind::Measure, &["12345.67", "-0.01", "0"]),
    column(
        "text",
        Kind::Text,
        &[
            "''",
            "'plain'",
            "'größe 🦀 Ω ж'",
            "'with, comma and \"quotes\"'",
            "E'two\\r\\nlines\\nand\\ttabs'",
            "' padded '",
            "'=1+1'",
            "'-7'",
            "'NULL'",
            "'007'",
            "'1e5'",
            "'_x0041_'",
            "'<&>'''",
            "'\\'",
            "'@x'",
            "'null'",
            "repeat('long ', 6000)",
        ],
    ),
    column("varchar(40)", Kind::Text, &["''", "'ÀÉÎ'", "'a;b|c'"]),
    column("char(4)", Kind::Text, &["'ab'", "''"]),
    column("name", Kind::Text, &["'pg_catalog'", "''"]),
    column("\"char\"", Kind::Text, &["'a'", "''"]),
    column("citext", Kind::Text, &["'Case'"]),
    column("mood", Kind::Text, &["'glad'", "'so so'", "'=sad'"]),
    column("uuid", Kind::Text, &["'6BA7B810-9dad-11d1-80b4-00c04fd430c8'", "'00000000-0000-0000-0000-000000000000'"]),
    column("bytea", Kind::Text, &["'\\x00ff10'", "''"]),
    column("json", Kind::Text, &["'{\"b\":1,  \"a\":[1.50, null, \"\\u00e9\"]}'", "'null'", "'\"=1\"'", "'-1'"]),
    column("jsonb", Kind::Text, &["'{\"b\":1,  \"a\":[1.50, null]}'", "'null'", "'1e400'", "'[]'"]),
    column("jsonpath", Kind::Text, &["'$.a[*]'"]),
    column("xml", Kind::Text, &["'<a b=\"1\">ö &amp; é</a>'"]),
    column(
        "date",
        Kind::Day,
        &[
            "'1970-01-01'",
            "'2024-02-29'",
            "'0001-01-01'",
            "'4714-11-24 BC'",
            "'0001-12-31 BC'",
            "'9999-12-31'",
            "'1900-02-28'",
            "'1900-03-01'",
            "'12024-01-01'",
        ],
    ),
    column("time", Kind::Text, &["'00:00'", "'23:59:59.999999'", "'24:00'", "'12:00:00.5'"]),
    column("timetz", Kind::Text, &["'12:00+00'", "'12:00:00.000001-03:30'", "'12:00+05:45:10'"]),
    column(
        "timestamp",
        Kind::Time,
        &[
            "'1970-01-01 00:00'",
            "'2024-02-29 12:34:56.789'",
            "'1999-12-31 23:59:59.999999'",
            "'0044-03-15 BC'",
            "'4714-11-24 BC'",
            "'12024-01-01 01:02:03'",
            "'1969-12-31 23:59:59.5'",
        ],
    ),
    column(
        "timestamptz",
        Kind::Instant,
        &[
            "'1970-01-01 00:00Z'",
            "'2024-02-29 12:34:56+02'",
            "'0044-03-15 23:00-05 BC'",
            "'2038-01-19 03:14:08.000001Z'",
        ],
    ),
    column(
        "interval",
        Kind::Measure,
        &[
            "'0'",
            "'1 year 2 months 3 days 4 hours 5 minutes 6.789 seconds'",
            "'-1 day 2 hours'",
            "'-0.5 seconds'",
            "'1000000 hours'",
            "'-2147483648 days'",
        ],
    ),
    column("inet", Kind::Text, &["'10.0.0.1'", "'10.0.0.1/8'", "'::ffff:1.2.3.4'"]),
    column("cidr", Kind::Text, &["'10.0.0.0/8'", "'::/0'"]),
    column("macaddr", Kind::Text, &["'08:00:2b:01:02:03'"]),
    column("macaddr8", Kind::Text, &["'08:00:2b:01:02:03:04:05'"]),
    column("bit(4)", Kind::Text, &["'1011'"]),
    column("varbit", Kind::Text, &["'101'", "''"]),
    column("int4range", Kind::Text, &["'[1,5)'", "'empty'", "'(,)'"]),
    column("int8range", Kind::Text, &["'[1,9223372036854775807)'"]),
    column("numrange", Kind::Text, &["'[1.50,)'"]),
    column("daterange", Kind::Text, &["'[2024-01-01,infinity)'"]),
    column("tsrange", Kind::Text, &["'[2024-01-01 12:00,)'"]),
    column("tstzrange", Kind::Text, &["'(,)'"]),
    column("ours", Kind::Text, &["ours('a \"b', 'c,d')"]),
    column("int4multirange", Kind::Text, &["'{[1,2),[5,7)}'", "'{}'"]),
    column("int8multirange", Kind::Text, &["'{[1,2)}'"]),
    column("nummultirange", Kind::Text, &["'{[1.5,2)}'"]),
    column("datemultirange", Kind::Text, &["'{[2024-01-01,2024-02-01)}'"]),
    column("tsmultirange", Kind::Text, &["'{}'"]),
    column("tstzmultirange", Kind::Text, &["'{}'"]),
    column("pair", Kind::Text, &["(1, 'it''s, \"so\"')", "(null, null)"]),
    column("pairs", Kind::Text, &["(1, 'x')"]),
    column("point", Kind::Text, &["'(1,2.5)'"]),
    column("line", Kind::Text, &["'{1,2,3}'"]),
    column("lseg", Kind::Text, &["'[(1,2),(3,4)]'"]),
    column("box", Kind::Text, &["'(1,2),(3,4)'"]),
    column("path", Kind::Text, &["'[(1,2),(3,4)]'"]),
    column("polygon", Kind::Text, &["'((1,2),(3,4),(5,6))'"]),
    column("circle", Kind::Text, &["'<(1,2),3>'"]),
    column("tsvector", Kind::Text, &["'a:1 fat:2,4B cat'"]),
    column("tsquery", Kind::Text, &["'fat & !rat'"]),
    column("tid", Kind::Text, &["'(1,2)'"]),
    column("xid", Kind::Text, &["'77'"]),
    column("xid8", Kind::Text, &["'18446744073709551615'"]),
    column("cid", Kind::Text, &["'7'"]),
    column("pg_lsn", Kind::Text, &["'16/B374D848'"]),
    column("pg_snapshot", Kind::Text, &["'10:20:10,14,15'"]),
    column("txid_snapshot", Kind::Text, &["'10:20:10,14,15'"]),
    column("refcursor", Kind::Text, &["'c'"]),
    column("regclass", Kind::Text, &["'pg_class'"]),
    column("regtype", Kind::Text, &["'integer'"]),
    column("regproc", Kind::Text, &["'pg_sleep'"]),
    column("regprocedure", Kind::Text, &["'abs(integer)'"]),
    column("regoper", Kind::Text, &["'||/'"]),
    column("regoperator", Kind::Text, &["'+(integer,integer)'"]),
    column("regnamespace", Kind::Text, &["'pg_catalog'"]),
    column("regrole", Kind::Text, &["'pg_read_all_data'"]),
    column("regconfig", Kind::Text, &["'english'"]),
    column("regdictionary", Kind::Text, &["'simple'"]),
    column("regcollation", Kind::Text, &["'\"C\"'"]),
    column("aclitem", Kind::Text, &["'=r/pg_read_all_data'"]),
    column("int2vector", Kind::List, &["'1 2 3'"]),
    column("oidvector", Kind::List, &["'1 2'"]),
    column("boolean[]", Kind::List, &["'{t,f,null}'", "'{}'"]),
    column("integer[]", Kind::List, &["'{1,null,-3}'", "'{{1,2},{3,4}}'", "'{}'"]),
    column("numeric[]", Kind::List, &["'{1.50,1e30,null}'"]),
    column("text[]", Kind::List, &["'{\"a,b\",\"c\\\"d\",\"\",null,\"null\",\"ö\\\\n\"}'"]),
    column("date[]", Kind::List, &["'{2024-02-29,null}'"]),
    column("inet[]", Kind::Text, &["'{10.0.0.1,null}'"]),
    column("pair[]", Kind::Text, &["array[(1, 'x')::pair]"]),
];

/// Days and times without end, which Parquet has no value for.
pub(super) const ENDLESS: &[Column] = &[
    column("date", Kind::Day, &["'infinity'", "'-infinity'", "'2024-02-29'"]),
    column("timestamp", Kind::Time, &["'infinity'", "'-infinity'", "'2024-02-29'"]),
    column("timestamptz", Kind::Instant, &["'infinity'", "'-infinity'", "'2024-02-29'"]),
];
