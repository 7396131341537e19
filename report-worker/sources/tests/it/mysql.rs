//! What only MySQL and MariaDB do.

use arrow_array::cast::AsArray as _;
use model::problem::ProblemKind;
use sources::RowCount;
use values::declared_digits;

use crate::source::{OwnSource, TestSource, report, request};

#[tokio::test]
async fn every_type_is_written_exactly() {
    let source = OwnSource::mariadb(
        "create table t (
            i1 tinyint, u1 tinyint unsigned, i2 smallint, u2 smallint unsigned, i3 mediumint, i4 int, u4 int unsigned, i8 bigint,
            u8 bigint unsigned, d decimal(40, 20), f float, g double, y year, b1 bit(1), b9 bit(9), b64 bit(64),
            da date, dt datetime(6), ts timestamp(3) null, tm time(2), c char(4), v varchar(9), x text, e enum('a', 'so so'),
            s set('p', 'q'), j json, bi binary(3), bl blob, n int
         );
         insert into t values (-128, 255, -32768, 65535, -8388608, -2147483648, 4294967295, -9223372036854775808,
            18446744073709551615, -12345678901234567890.12345678901234567890, 0.1, 1e300, 2024, 1, 257, 18446744073709551615,
            '2024-02-29', '2024-02-29 12:34:56.000007', '2024-02-29 12:34:56.789', '-838:59:59.25', 'ab', 'größe 🦀', 'a\\nb', 'so so',
            'p,q', '{\"a\": [1.50, null]}', 'ab', x'00ff10', null)",
    )
    .await;
    let expected = [
        ("i1", "-128"),
        ("u1", "255"),
        ("i2", "-32768"),
        ("u2", "65535"),
        ("i3", "-8388608"),
        ("i4", "-2147483648"),
        ("u4", "4294967295"),
        ("i8", "-9223372036854775808"),
        ("u8", "18446744073709551615"),
        ("d", "-12345678901234567890.12345678901234567890"),
        ("f", "0.1"),
        ("g", "1e+300"),
        ("y", "2024"),
        ("b1", "1"),
        ("b9", "257"),
        ("b64", "18446744073709551615"),
        ("da", "\"2024-02-29\""),
        ("dt", "\"2024-02-29T12:34:56.000007\""),
        ("ts", "\"2024-02-29T12:34:56.789000Z\""),
        ("tm", "\"-838:59:59.25\""),
        ("c", "\"ab\""),
        ("v", "\"größe 🦀\""),
        ("x", "\"a\\nb\""),
        ("e", "\"so so\""),
        ("s", "\"p,q\""),
        ("j", "\"{\\\"a\\\": [1.50, null]}\""),
        ("bi", "\"\\\\x616200\""),
        ("bl", "\"\\\\x00ff10\""),
        ("n", "null"),
    ];
    let line: Vec<String> = expected.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    assert_eq!(source.jsonl("select * from t").await, format!("{{{}}}\n", line.join(",")));
}

#[tokio::test]
async fn bits_are_a_number_whatever_their_bytes_look_like() {
    let source = OwnSource::mariadb(
        "create table bits(id int, b bit(64));
         insert into bits values(1,x'3132333435363738'),(2,x'FFFFFFFFFFFFFFFF'),(3,x'2D2E303132333435');",
    )
    .await;
    let sql = "select id, b, cast(b as unsigned) as number from bits order by id";
    let numbers = ["3544952156018063160", "18446744073709551615", "3255592568489194549"];
    let expected = |line: fn(usize, &str) -> String| -> String {
        numbers.iter().enumerate().map(|(index, number)| line(index + 1, number)).collect()
    };
    assert_eq!(
        source.csv(sql).await,
        format!("id,b,number\r\n{}", expected(|id, number| format!("{id},{number},{number}\r\n")))
    );
    let jsonl = expected(|id, number| format!("{{\"id\":{id},\"b\":{number},\"number\":{number}}}\n"));
    assert_eq!(source.jsonl(sql).await, jsonl);
    let narrow = source.csv("select b'110001' as one, b'0' as two, cast('12' as decimal(4, 1)) as d").await;
    assert_eq!(narrow, "one,two,d\r\n\\x31,\\x00,12.0\r\n");
}

#[tokio::test]
async fn a_negative_time_is_no_formula() {
    let source = OwnSource::mariadb(
        "create table delay(id int, d time);
         insert into delay values(1,'-838:59:59'),(2,'-00:00:01'),(3,'838:59:59');",
    )
    .await;
    let csv = source.csv("select id, d from delay order by id").await;
    assert_eq!(csv, "id,d\r\n1,-838:59:59\r\n2,-00:00:01\r\n3,838:59:59\r\n");
    let text = source.csv("select concat(cast(d as char), '+1') as d from delay where id = 2").await;
    assert_eq!(text, "d\r\n'-00:00:01+1\r\n", "text that would be computed is guarded");
}

#[tokio::test]
async fn text_is_utf_8_on_a_connection_that_was_used_before() {
    let source =
        OwnSource::mariadb("create table t (l varchar(9) character set latin1); insert into t values ('größe')").await;
    let mut connections = std::collections::BTreeSet::new();
    testing::eventually(crate::source::SOON, "a connection is used again", async || {
        let csv = source.csv("select connection_id() as id, '🦀' as s, l, length(l) as bytes from t").await;
        let (id, rest) = csv.lines().nth(1).unwrap().split_once(',').unwrap();
        assert_eq!(rest, "🦀,größe,5");
        !connections.insert(id.to_owned())
    })
    .await;
}

#[tokio::test]
async fn values_equal_the_servers_text() {
    let source = OwnSource::mariadb("").await;
    let expressions = [
        "cast(0 as decimal(10, 4))",
        "cast(-0.00001 as decimal(20, 5))",
        "1/3",
        "cast('99999999999999999999999999999999999.999' as decimal(38, 3))",
        "18446744073709551615",
        "cast('-00:00:00.5' as time(1))",
        "cast('100:00:01' as time)",
        "uuid_v",
        "inet_v",
        "concat('a', 1)",
        "null",
        "json_object('a', 1)",
        "sum_v",
        "convert('ö' using latin1)",
        "''",
        "repeat('long ', 100000)",
    ];
    let columns: Vec<String> = expressions.iter().map(|e| format!("{e}, cast({e} as char)")).collect();
    let sql = format!(
        "select {} from (select cast('6ccd780c-baba-1026-9564-5b8c656024db' as uuid) as uuid_v, cast('::1' as inet6) as inet_v,
         (select sum(seq) + 0.10 from seq_1_to_100) as sum_v) as v",
        columns.join(", ")
    );
    let rows = source.read(&sql).await.unwrap();
    for (index, expression) in expressions.iter().enumerate() {
        let pair: Vec<Option<&str>> = [2 * index, 2 * index + 1]
            .iter()
            .map(|at| rows.batches[0].column(*at).as_string::<i32>().iter().next().unwrap())
            .collect();
        assert_eq!(pair[0], pair[1], "{expression}");
    }
}

#[tokio::test]
async fn a_day_that_is_none_fails_and_names_column_row_and_cure() {
    let source = OwnSource::mariadb(
        "create table t (id int, d date); set sql_mode = ''; insert into t values (1, '2024-01-01'), (2, '0000-00-00'), (3, '2024-02-00')",
    )
    .await;
    let problem = source.read("select id, d from t order by id").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::UnsupportedColumn);
    for part in ["`d`", "row 2", "nullif(d, 0)"] {
        assert!(problem.detail.contains(part), "{part} in: {problem}");
    }
    assert_eq!(
        source.csv("select nullif(d, 0) as d from t where id < 3 order by id").await,
        "d\r\n2024-01-01\r\n\"\"\r\n"
    );
    assert_eq!(source.csv("select cast(d as char) as d from t where id = 3").await, "d\r\n2024-02-00\r\n");
}

#[tokio::test]
async fn a_type_without_text_names_the_column_and_the_cure() {
    let source = OwnSource::mariadb("").await;
    let problem = source.read("select 1 as id, point(1, 2) as place").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::UnsupportedColumn);
    assert!(problem.detail.contains("`place`") && problem.detail.contains("st_astext(place)"), "{problem}");
    assert_eq!(source.csv("select st_astext(point(1, 2)) as place").await, "place\r\nPOINT(1 2)\r\n");
}

#[tokio::test]
async fn a_result_that_the_server_cut_off_fails() {
    let source = OwnSource::mariadb("").await;
    let sql = "select seq from seq_1_to_100 limit rows examined 10";
    let problem = source.read(sql).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QueryFailed);
    assert!(problem.detail.contains("cut the result off"), "{problem}");
    // What servers cut off by default is not.
    let long = source.csv("select length(group_concat(seq)) as l from seq_1_to_1000000").await;
    assert_eq!(long, "l\r\n6888895\r\n");
    let deep =
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) select count(*) as c from n";
    assert_eq!(source.csv(deep).await, "c\r\n5000\r\n");
}

#[tokio::test]
async fn a_decimal_is_compared_exactly() {
    let source = OwnSource::mariadb(
        "create table t (d decimal(30, 10)); insert into t values (9007199254740993.0000000001), (9007199254740993.0000000002)",
    )
    .await;
    let one = report("select d from t where d = :d", "[params.d]\ntype = \"decimal\"\n");
    let rows = source.read_report(&one, r#"{"d": "9007199254740993.0000000002"}"#).await.unwrap();
    assert_eq!(rows.written(model::artifact::Format::Csv), "d\r\n9007199254740993.0000000002\r\n");
    let several =
        report("select count(*) as n from t where d in (:d)", "[params.d]\ntype = \"decimal\"\nlist = true\n");
    let rows = source.read_report(&several, r#"{"d": ["9007199254740993.0000000002", "-1.5"]}"#).await.unwrap();
    assert_eq!(rows.written(model::artifact::Format::Csv), "n\r\n1\r\n");
}

#[tokio::test]
async fn a_point_in_time_is_compared_in_utc() {
    let source = OwnSource::mariadb(
        "set time_zone = '+00:00'; create table t (at timestamp(6)); insert into t values ('2024-02-29 10:00:00.000001')",
    )
    .await;
    let report = report("select at from t where at = :at", "[params.at]\ntype = \"timestamp\"\n");
    let rows = source.read_report(&report, r#"{"at": "2024-02-29T12:00:00.000001+02:00"}"#).await.unwrap();
    assert_eq!(rows.written(model::artifact::Format::Csv), "at\r\n2024-02-29T10:00:00.000001Z\r\n");
}

#[tokio::test]
async fn seconds_since_1970_are_compared_by_a_function_of_the_server() {
    // The moment itself, the second before, and the day's digits as a number: 2024-02-29 00:00:00.
    let source = OwnSource::mariadb(
        "create table t (i int, at bigint); insert into t values (1, 1709204400), (2, 1709204399), (3, 20240229110000)",
    )
    .await;
    let ids = async |condition: &str| {
        let report =
            report(&format!("select i from t where {condition} order by i"), "[params.f]\ntype = \"timestamp\"\n");
        let rows = source.read_report(&report, r#"{"f": "2024-02-29T12:00:00+01:00"}"#).await.unwrap();
        rows.written(model::artifact::Format::Csv)
    };
    assert_eq!(ids("at < 10000000000 and at >= unix_timestamp(:f)").await, "i\r\n1\r\n");
    assert_eq!(ids("at = :f").await, "i\r\n3\r\n", "beside a time the digits are a date");
}

#[tokio::test]
async fn colons_and_question_marks_in_strings_are_text() {
    let source = OwnSource::mariadb("").await;
    let report = report("select ':a ? :b' as t, :x as x, '12:30:00' as c", "[params.x]\ntype = \"text\"\n");
    let rows = source.read_report(&report, r#"{"x": "it's ? \\' :y"}"#).await.unwrap();
    assert_eq!(rows.written(model::artifact::Format::Csv), "t,x,c\r\n:a ? :b,it's ? \\' :y,12:30:00\r\n");
    let problem = source.read("select ? as v").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QueryFailed);
    assert!(problem.detail.contains("`?`"), "{problem}");
}

#[tokio::test]
async fn an_estimate_is_called_one_and_not_made_up() {
    let source = OwnSource::mariadb(
        "create table t (i int primary key); insert into t select seq from seq_1_to_10000; analyze table t",
    )
    .await;
    let total = source.read("select i from t").await.unwrap().total;
    assert!(matches!(total, RowCount::Estimate(rows) if (9_000..=11_000).contains(&rows)), "{total:?}");
    assert_eq!(source.read("select count(*) as n from t").await.unwrap().total, RowCount::Unknown);
    assert_eq!(source.read("select i from t limit 5").await.unwrap().total, RowCount::Unknown);
}

#[tokio::test]
async fn digits_that_the_server_declares_are_told() {
    let source =
        OwnSource::mariadb("create table t (a decimal(12, 2), b decimal(65, 0) unsigned, c bigint unsigned, d int)")
            .await;
    let rows = source.read("select * from t").await.unwrap();
    let digits: Vec<_> = rows.schema.fields().iter().map(|field| declared_digits(field)).collect();
    assert_eq!(digits, [Some((12, 2)), Some((65, 0)), Some((20, 0)), None]);
}

#[tokio::test]
async fn a_read_sees_one_snapshot() {
    let source = OwnSource::mariadb("create table t (i int); insert into t select seq from seq_1_to_200000").await;
    let report = report("select i from t", "");
    let mut reading = source.start(request(&report, "{}")).await.unwrap();
    let mut rows = reading.next().await.unwrap().unwrap().num_rows();
    source.database.sql("delete from t").await;
    while let Some(batch) = reading.next().await.unwrap() {
        rows += batch.num_rows();
    }
    assert_eq!(rows, 200_000);
}

#[tokio::test]
async fn what_a_query_set_does_not_reach_the_next_one() {
    let source = OwnSource::mariadb("").await;
    assert_eq!(source.csv("select @left := 7 as v, get_lock('left', 1) as l").await, "v,l\r\n7,1\r\n");
    testing::eventually(std::time::Duration::from_secs(10), "the lock is free", async || {
        source.csv("select is_free_lock('left') as l").await == "l\r\n1\r\n"
    })
    .await;
    let mut connections = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let csv = source.csv("select @left as v, connection_id() as id").await;
        let (left, id) = csv.lines().nth(1).unwrap().split_once(',').unwrap();
        assert_eq!(left, "");
        connections.insert(id.to_owned());
        tokio::task::yield_now().await;
    }
    assert!(connections.len() < 40, "every read opened a connection of its own");
}

#[tokio::test]
async fn a_connection_the_server_closed_meanwhile_costs_nothing() {
    let source = OwnSource::mariadb("").await;
    assert_eq!(source.csv("select 1 as one").await, "one\r\n1\r\n");
    let database = &source.database;
    let find = format!(
        "select concat('kill ', id) from information_schema.processlist where db = '{}' and id <> connection_id()",
        database.name()
    );
    for row in database.sql(&find).await {
        database.sql(row[0].as_deref().unwrap()).await;
    }
    assert_eq!(source.csv("select 1 as one").await, "one\r\n1\r\n");
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_may_come_back() {
    let real = OwnSource::mariadb("").await;
    let url = real.settings.url.expose();
    let server = url.split('@').nth(1).unwrap().split('/').next().unwrap();
    let proxy = testing::proxy::start(server).await.unwrap();
    let source = TestSource::at(&proxy.url(url));
    let many = report("select seq, repeat('x', 100) as t from seq_1_to_5000000", "total = \"unknown\"\n");
    let mut reading = source.start(request(&many, "{}")).await.unwrap();
    reading.next().await.unwrap().unwrap();
    proxy.cut();
    let problem = loop {
        match reading.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a read that was cut off is not complete"),
            Err(problem) => break problem,
        }
    };
    assert_eq!(problem.kind, ProblemKind::SourceUnavailable, "{problem}");
    proxy.heal();
    assert_eq!(source.csv("select 1 as one").await, "one\r\n1\r\n");
}

#[tokio::test]
async fn a_source_that_is_down_may_come_back() {
    let source = TestSource::at("mariadb://nobody:hunter2@127.0.0.1:1/none");
    let problem = source.read("select 1 as one").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::SourceUnavailable);
    assert!(!problem.detail.contains("hunter2"), "{problem}");
}

#[tokio::test]
async fn tls_that_is_insisted_on_is_never_given_up() {
    let real = OwnSource::mariadb("").await;
    // The server of the tests has no certificate.
    let source = TestSource::at(&format!("{}?ssl-mode=required", real.settings.url.expose()));
    let problem = source.read("select 1 as one").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::SourceUnavailable);
    assert!(problem.detail.contains("SSL"), "{problem}");
}
