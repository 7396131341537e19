//! Every value of every type of PostgreSQL equals the server's own text.

use arrow_array::cast::AsArray as _;
use arrow_array::types::Decimal64Type;
use arrow_array::{Array as _, ArrayRef};
use arrow_schema::DataType;
use values::{declared_digits, is_json};

use crate::source::{OwnSource, TestSource, report};

/// Makes intervals look as ours do.
const ISO: &str =
    "do $$ begin execute format('alter database %I set intervalstyle = iso_8601', current_database()); end $$;";

/// Reads each expression beside the server's text of it, by `COPY` and by the row protocol, and compares.
async fn compare(source: &OwnSource, expressions: &[&str]) {
    for sensitive in [false, true] {
        // A sensitive parameter is bound, which `COPY` cannot do.
        let columns: Vec<String> = expressions
            .iter()
            .map(|e| format!("{e}, case when ({e}) is distinct from null then format('%s', {e}) end"))
            .collect();
        let sql = format!("select {}, :bound as b", columns.join(",\n"));
        let report = report(&sql, &format!("[params.bound]\ntype = \"text\"\nsensitive = {sensitive}\n"));
        let rows = source.read_report(&report, r#"{"bound": "x"}"#).await.unwrap();
        let batch = &rows.batches[0];
        for (index, expression) in expressions.iter().enumerate() {
            let [ours, told] = [2 * index, 2 * index + 1].map(|at| text_of(batch.column(at)));
            assert_eq!(ours, told, "{expression}");
        }
    }
}

/// Reads the only row of a column. Decimals of few digits come as numbers.
fn text_of(column: &ArrayRef) -> Option<String> {
    match column.data_type() {
        _ if column.is_null(0) => None,
        DataType::Decimal64(..) => Some(column.as_primitive::<Decimal64Type>().value_as_string(0)),
        _ => Some(column.as_string::<i32>().value(0).to_owned()),
    }
}

#[tokio::test]
async fn decimals_times_and_intervals_equal_the_servers_text() {
    let source = OwnSource::postgres(ISO).await;
    let expressions = [
        "0::numeric",
        "0.000::numeric",
        "'-0.00001'::numeric",
        "123456789012345678901234567890.00010::numeric(50, 5)",
        "1e400::numeric",
        "1e-400::numeric",
        "'NaN'::numeric",
        "'-Infinity'::numeric",
        "9999.9999::numeric",
        "10000::numeric",
        "-7::numeric(5, 2)",
        "(-7)::numeric(5, 2)",
        "'NaN'::numeric(5, 2)",
        "(-0.01)::numeric(18, 18)",
        "999999999999999999::numeric(18)",
        "null::numeric(5, 2)",
        "null::numeric",
        "(10::numeric ^ 2000) + 0.5",
        "1234567::numeric(6, -2)",
        "time '00:00'",
        "time '23:59:59.999999'",
        "time '24:00'",
        "time '12:00:00.5'",
        "timetz '12:00+00'",
        "timetz '12:00:00.000001-03:30'",
        "timetz '12:00+05:45:10'",
        "interval '0'",
        "interval '1 year 2 months 3 days 4 hours 5 minutes 6.789 seconds'",
        "interval '-1 day 2 hours'",
        "interval '-0.5 seconds'",
        "interval '13 months'",
        "interval '-13 months +40 days'",
        "interval '1000000 hours'",
        "interval '-2147483648 days'",
        "interval '1 minute'",
        "interval '60.000001 seconds'",
        "null::interval",
    ];
    compare(&source, &expressions).await;
}

#[tokio::test]
async fn types_that_only_the_server_can_write_equal_its_text() {
    let source = OwnSource::postgres(
        "create type pair as (a int, b text); create type mood as enum ('glad', 'so so'); create domain cents as numeric(10, 2);
         create domain pairs as pair;
         create type ours as range (subtype = text)",
    )
    .await;
    let expressions = [
        "inet '10.0.0.1'",
        "inet '10.0.0.1/8'",
        "inet '::ffff:1.2.3.4'",
        "cidr '10.0.0.0/8'",
        "macaddr '08:00:2b:01:02:03'",
        "macaddr8 '08:00:2b:01:02:03:04:05'",
        "array[inet '10.0.0.1', null]",
        "int4range(1, 5)",
        "'empty'::int8range",
        "numrange(1.50, null)",
        "daterange('2024-01-01', 'infinity')",
        "tstzrange(null, null)",
        "int4multirange(int4range(1, 2), int4range(5, 7))",
        "ours('a \"b', 'c,d')",
        "row(1, null, 'x y')",
        "row(null, null)",
        "(1, 'it''s')::pair",
        "null::pair",
        "(1, 'x')::pair::pairs",
        "array[(1, 'x')::pair]",
        "money '12345.67'",
        "bit '1011'",
        "'101'::varbit(5)",
        "xml '<?xml version=\"1.0\" encoding=\"UTF-8\"?><a>ö</a>'",
        "tsvector 'a:1 fat:2,4B cat'",
        "tsquery 'fat & !rat'",
        "point(1, 2.5)",
        "box '(1,2),(3,4)'",
        "path '[(1,2),(3,4)]'",
        "jsonpath '$.a[*]'",
        "'pg_class'::regclass",
        "pg_lsn '16/B374D848'",
        "txid_current_snapshot() is null",
        "'a'::\"char\"",
        "''::\"char\"",
        "'so so'::mood",
        "1.5::cents",
        "null::inet",
        "xid '77'",
        "'7'::xid8",
        "'(1,2)'::tid",
    ];
    let texts: Vec<&str> = expressions.iter().copied().filter(|e| !e.starts_with("txid")).collect();
    compare(&source, &texts).await;
}

#[tokio::test]
async fn text_of_every_kind_goes_through_as_it_is() {
    let source = OwnSource::postgres("create extension if not exists citext").await;
    let expressions = [
        "''::text",
        "E'a\\tb\\nc\\\\d'",
        "'größe 🦀'::varchar(40)",
        "'ab'::char(4)",
        "'pg_catalog'::name",
        "'Case'::citext",
        "json '{\"b\":1,  \"a\":[1.50, null]}'",
        "jsonb '{\"b\":1,  \"a\":[1.50, null]}'",
        "'6BA7B810-9dad-11d1-80b4-00c04fd430c8'::uuid",
        "'\\x00ff10'::bytea",
        "''::bytea",
        "null::bytea",
        "'free'",
        "repeat('long ', 100000)",
    ];
    compare(&source, &expressions).await;
}

#[tokio::test]
async fn dates_of_all_ages_are_the_servers_days() {
    let source = OwnSource::postgres("").await;
    let sql = "select (date '4714-11-24 BC' + n * 99991)::date as d, to_char(date '4714-11-24 BC' + n * 99991, 'BC YYYY MM DD') as t,
        (timestamp '4714-11-24 BC' + n * interval '99991 days 1 hour 0.000001 seconds') as s
        from generate_series(0, 1080) as n";
    let rows = source.jsonl(sql).await;
    assert_eq!(rows.lines().count(), 1081);
    for line in rows.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let told: Vec<&str> = row["t"].as_str().unwrap().split_whitespace().collect();
        let year: i64 = told[1].parse().unwrap();
        let year = if told[0] == "BC" { 1 - year } else { year };
        let shown = row["d"].as_str().unwrap();
        let (head, day) = shown.split_at(shown.len() - 2);
        let (years, month) = head.trim_end_matches('-').rsplit_once('-').unwrap();
        assert_eq!((years.parse::<i64>().unwrap(), month, day), (year, told[2], told[3]), "{line}");
        assert!(row["s"].as_str().unwrap().contains('T'), "{line}");
    }
}

#[tokio::test]
async fn digits_that_the_server_declares_are_told() {
    let source = OwnSource::postgres("").await;
    let rows = source
        .read("select 1.5::numeric(12, 2) as a, 1.5::numeric as b, 150::numeric(3, -1) as c, 'x'::varchar(9) as d")
        .await
        .unwrap();
    let digits: Vec<_> = rows.schema.fields().iter().map(|field| declared_digits(field)).collect();
    assert_eq!(digits, [Some((12, 2)), None, None, None]);
}

#[tokio::test]
async fn json_and_lists_are_told_from_text() {
    let source = OwnSource::postgres("create domain document as jsonb").await;
    let sql = "select json '1' as a, jsonb '1' as b, '1'::document as c, array[1] as d, '1'::text as e, array[inet '::1'] as f";
    let rows = source.read(sql).await.unwrap();
    let told: Vec<bool> = rows.schema.fields().iter().map(|field| is_json(field)).collect();
    assert_eq!(told, [true, true, true, true, false, false]);
}

#[tokio::test]
async fn batches_are_bounded_by_the_digits_of_numbers() {
    let source = OwnSource::postgres("").await;
    // Ten bytes on the wire each, and 131 kB as text.
    let rows = source.read("select 1e131000::numeric as n from generate_series(1, 100)").await.unwrap();
    let largest = rows.batches.iter().map(|batch| batch.get_array_memory_size()).max().unwrap();
    assert!(largest < 4 << 20, "{largest} bytes at once");
    assert_eq!(rows.count(), 100);
}

#[tokio::test]
async fn columns_of_one_name_and_many_columns_keep_their_places() {
    let source = OwnSource::postgres("").await;
    assert_eq!(source.csv("select 1 as a, inet '10.0.0.1' as a, 3 as a").await, "a,a,a\r\n1,10.0.0.1,3\r\n");
    let many: Vec<String> = (0..1600).map(|n| format!("{n} as c{n}")).collect();
    let csv = source.csv(&format!("select {}", many.join(", "))).await;
    let values: Vec<String> = (0..1600).map(|n| n.to_string()).collect();
    assert_eq!(csv.lines().nth(1).unwrap(), values.join(","));
}

#[tokio::test]
async fn rows_keep_their_order_where_the_server_makes_text() {
    let source = OwnSource::postgres("").await;
    let sql = "select n, int4range(n, n + 1) as r from generate_series(1, 20000) as n order by n desc";
    let csv = source.csv(sql).await;
    let numbers: Vec<u32> = csv.lines().skip(1).map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, other| one > other));
    assert_eq!(numbers.len(), 20_000);
}

#[tokio::test]
async fn a_column_that_changed_its_type_since_the_last_read_is_read_as_it_is() {
    let source = OwnSource::postgres("create table t as select 1::bigint as a").await;
    assert_eq!(source.csv("select a from t").await, "a\r\n1\r\n");
    // As long on the wire as the integer was.
    let change = "alter table t alter column a type timestamp using timestamp '2024-02-29 12:00'";
    source.database.sql(change).await;
    assert_eq!(source.csv("select a from t").await, "a\r\n2024-02-29 12:00:00\r\n");
}

#[tokio::test]
async fn a_cell_of_sixty_megabytes_comes_whole() {
    let source = OwnSource::postgres("").await;
    let rows = source.read("select 1 as a, repeat('x', 60000000) as t, 3 as b").await.unwrap();
    assert_eq!(rows.batches[0].column(1).as_string::<i32>().value(0).len(), 60_000_000);
    assert_eq!(rows.count(), 1);
}

#[tokio::test]
async fn lengths_of_time_and_amounts_of_money_are_no_formulas() {
    let source = OwnSource::postgres("create domain price as money").await;
    let csv = source
        .csv("select interval '-1 day -00:00:01' as i, (-1234.5)::money as m, (-1)::money::price as p, '-1+1'::text as t")
        .await;
    assert_eq!(csv, "i,m,p,t\r\nP-1DT-1S,\"-$1,234.50\",-$1.00,'-1+1\r\n");
}

#[tokio::test]
async fn text_of_no_encoding_has_a_cure_that_works() {
    let source = OwnSource::postgres("").await;
    let name = format!("{}_ascii", source.database.name());
    let create = format!("create database {name} encoding 'SQL_ASCII' template template0 lc_collate 'C' lc_ctype 'C'");
    source.database.sql(&create).await;
    let url = source.settings.url.expose().replace(source.database.name(), &name);
    let ascii = TestSource::at(&url);
    let t = "(select convert_from('\\xff5c41'::bytea, 'SQL_ASCII') as t) as bad";
    let problem = ascii.read(&format!("select t from {t}")).await.unwrap_err();
    assert_eq!(problem.kind, model::problem::ProblemKind::QueryFailed);
    let hex = "encode(convert_to(t, getdatabaseencoding()), 'hex') as t";
    let latin = "convert_from(convert(convert_to(t, getdatabaseencoding()), 'LATIN1', 'UTF8'), 'UTF8') as t";
    assert!(problem.detail.contains(hex) && problem.detail.contains(latin), "{problem}");
    assert_eq!(ascii.csv(&format!("select {hex} from {t}")).await, "t\r\nff5c41\r\n");
    assert_eq!(ascii.csv(&format!("select {latin} from {t}")).await, "t\r\nÿ\\A\r\n");
    drop(ascii);
    source.database.sql(&format!("drop database {name} with (force)")).await;
}
