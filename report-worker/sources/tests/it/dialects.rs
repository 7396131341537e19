//! Each source reads queries by the rules of its own database, and lists mean the same on all of them.

use model::artifact::Format;

use crate::source::{OwnSource, report};

const ONE_TO_NINE: &str = "create table n (i integer); insert into n values (1),(2),(3),(4),(5),(6),(7),(8),(9)";
const IDS: &str = "[params.ids]\ntype = \"integer\"\nlist = true\n";

async fn every_source() -> [OwnSource; 3] {
    [OwnSource::postgres(ONE_TO_NINE).await, OwnSource::mariadb(ONE_TO_NINE).await, OwnSource::sqlite(ONE_TO_NINE)]
}

/// The rows of one column, in a line.
async fn read(source: &OwnSource, sql: &str, rest: &str, params: &str) -> String {
    let rows = source.read_report(&report(sql, rest), params).await;
    let told = rows.as_ref().err().map(|problem| format!("{}: {sql}: {}", source.database.kind(), problem.detail));
    assert_eq!(told, None);
    let csv = rows.unwrap().written(Format::Csv);
    csv.lines().skip(1).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_list_may_stand_beside_other_values() {
    for source in every_source().await {
        for sql in ["in (:ids, 9)", "in (9, :ids)", "in (/* these */ :ids -- and no others\n , 9)", "in (8 + 1, :ids)"]
        {
            let sql = format!("select i from n where i {sql} order by i");
            for sensitive in ["", "sensitive = true\n"] {
                let rest = format!("total = \"exact\"\n{IDS}{sensitive}");
                assert_eq!(read(&source, &sql, &rest, r#"{"ids": [1, 2]}"#).await, "1 2 9", "{sql}");
                assert_eq!(read(&source, &sql, &rest, r#"{"ids": [9]}"#).await, "9", "{sql}");
            }
        }
        let excluding = "select i from n where i not in (:ids, 9) and i not in (:ids) order by i";
        assert_eq!(read(&source, excluding, IDS, r#"{"ids": [1, 2]}"#).await, "3 4 5 6 7 8");
        let names = sources::explain(&source.settings, &report(excluding, IDS)).await.unwrap();
        assert_eq!(names, ["i"]);
    }
}

#[tokio::test]
async fn an_optional_list_that_is_not_given_has_no_elements() {
    let optional = format!("{IDS}optional = true\n");
    for source in every_source().await {
        for sensitive in ["", "sensitive = true\n"] {
            let rest = format!("{optional}{sensitive}");
            let of = async |condition: &str| {
                read(&source, &format!("select i from n where i < 4 and i {condition} order by i"), &rest, "{}").await
            };
            assert_eq!(of("in (:ids)").await, "");
            assert_eq!(of("not in (:ids)").await, "1 2 3");
            assert_eq!(of("not in (/* none */ :ids\n)").await, "1 2 3");
        }
    }
}

#[tokio::test]
async fn two_dashes_are_a_comment_or_two_signs_as_the_database_has_it() {
    for source in every_source().await {
        let expected = if source.database.kind() == "mariadb" { "8" } else { "5" };
        assert_eq!(read(&source, "select 5--3", "", "{}").await, expected);
        assert_eq!(read(&source, "select 5--3\n", "total = \"exact\"\n", "{}").await, expected);
        assert_eq!(read(&source, "select 5 -- 3", "total = \"exact\"\n", "{}").await, "5");
    }
}

#[tokio::test]
async fn what_mysql_runs_and_what_it_takes_for_a_comment_is_left_to_it() {
    let source = OwnSource::mariadb(ONE_TO_NINE).await;
    for (sql, expected) in [
        ("select i from n order by i /*! limit 1 */", "1"),
        ("select i from n order by i limit 2 /*!99999999 , 1 */", "1 2"),
        ("select i # what's this: total :sum\nfrom n where i < 3", "1 2"),
        ("select 'it\\'s' as a", "it's"),
        ("select \"it\\\"s, :no\" as a", "\"it\"\"s, :no\""),
        ("select 1 as `a:b'c`", "1"),
    ] {
        assert_eq!(read(&source, sql, "", "{}").await, expected, "{sql}");
        assert_eq!(read(&source, sql, "total = \"exact\"\n", "{}").await, expected, "{sql}");
    }
    // The driver has a scanner of its own, which would put a parameter into this string.
    let problem = source.read("select 5-'1:a' as a").await.unwrap_err();
    assert!(problem.detail.contains("put a space before that string"), "{}", problem.detail);
    assert_eq!(read(&source, "select 5- '1:a' as a", "", "{}").await, "4");
    let named = "[params.n]\ntype = \"text\"\n";
    assert_eq!(read(&source, "select concat('\\'', :n, '\\'') as a", named, r#"{"n": "x"}"#).await, "'x'");
}

#[tokio::test]
async fn a_colon_in_a_string_of_the_server_is_no_placeholder_however_the_string_is_written() {
    let source = OwnSource::postgres(
        "create table vault as select 'hunter2' as secret;
         do $$ begin execute format('alter database %I set standard_conforming_strings = off', current_database()); end $$",
    )
    .await;
    let hostile = r#"{"x": "'||(select secret from vault)||'"}"#;
    let named = "[params.x]\ntype = \"text\"\n";
    for sql in ["select E'a\\n'\n'it\\'s :x isn\\'t' as a", "select $é$ :x $é$ as a"] {
        // Other databases would see a placeholder, so the catalogue takes the report; its source does not.
        let text = format!("title = \"T\"\nsource = \"s\"\nsql = '''\n{sql}'''\n{named}");
        let report = report::parse_definition("test", &text).unwrap();
        let problem = source.read_report(&std::sync::Arc::new(report), hostile).await.unwrap_err();
        assert!(problem.detail.contains("parameter `x` is not used"), "{}", problem.detail);
    }
    // A backslash before the quote is a plain character, whatever the database says of itself.
    assert_eq!(read(&source, r"select 'a\' || :x as a", named, hostile).await, r"a\'||(select secret from vault)||'");
}

#[tokio::test]
async fn a_parameter_of_the_database_itself_is_refused_and_never_null() {
    let source = OwnSource::sqlite(ONE_TO_NINE);
    for sql in ["select @day", "select $day", "select ?", "select ?1", "select :1"] {
        let text = format!("title = \"T\"\nsource = \"s\"\nsql = \"{sql}\"\n");
        let report = report::parse_definition("test", &text).unwrap();
        let problem = source.read_report(&std::sync::Arc::new(report), "{}").await.unwrap_err();
        assert!(problem.detail.contains("a parameter of the database that nothing would fill"), "{}", problem.detail);
    }
}
