use proptest::prelude::*;
use report::Query;

fn names(sql: &str) -> Vec<String> {
    Query::parse(sql).unwrap().placeholders().to_vec()
}

#[test]
fn placeholders_are_found_once_each_in_order_of_first_use() {
    assert_eq!(names("select :b, :a, :b from t where x=:c_1"), ["b", "a", "c_1"]);
}

#[test]
fn colons_in_strings_comments_names_bodies_and_casts_are_no_placeholders() {
    for sql in [
        "select ':a'",
        "select 'it''s :a'",
        r"select E'\' :a'",
        r"select e'\\', 'x :a'",
        "select 1 -- :a\n",
        "select 1 /* :a */",
        "select \"x:a\"",
        "select \"x\"\":a\"",
        "select `x:a`",
        "select $$ :a $$",
        "select $body$ :a $$ :b $body$",
        "select x::date",
        "select f(x := 1)",
        "select 'ä:a', ä from t",
    ] {
        assert!(names(sql).is_empty(), "{sql}");
    }
}

#[test]
fn placeholders_right_beside_other_syntax_are_found() {
    assert_eq!(names("select :a::date"), ["a"]);
    assert_eq!(names("select ':x'||:a||':y'"), ["a"]);
    assert_eq!(names("select a$b, :a"), ["a"]);
    assert_eq!(names("select price$$, :a"), ["a"]);
    assert_eq!(names(r"select name'\', :a"), ["a"]);
    assert_eq!(names("select 1-:a/:b--:c"), ["a", "b"]);
    assert_eq!(names("where x in (:a)"), ["a"]);
    assert_eq!(names("select ä:a"), ["a"]);
}

#[test]
fn what_is_written_replaces_placeholders_and_nothing_else() {
    let query = Query::parse("select ':a', :a, x::int, :b -- :a\n from t where y = :a ; -- end").unwrap();
    let sql = query.render(|out, name| out.push_str(if name == "a" { "$1" } else { "$2" }));
    assert_eq!(sql, "select ':a', $1, x::int, $2 -- :a\n from t where y = $1");
}

#[test]
fn a_final_semicolon_and_final_comments_are_dropped_so_that_the_query_can_be_wrapped() {
    for sql in ["select 1", "select 1;", "select 1 ; ;\n", "select 1 -- one", "select 1 /* one */ ; -- two"] {
        assert_eq!(Query::parse(sql).unwrap().render(|_, _| {}), "select 1", "{sql}");
    }
}

#[test]
fn queries_that_cannot_be_one_statement_are_refused_with_the_reason() {
    for (sql, reason) in [
        ("", "empty"),
        (" \n -- nothing\n/* at all */ ; ", "empty"),
        ("select 1; select 2", "several statements"),
        ("select 1; drop table t", "several statements"),
        ("select 'a", "a string that opens in line 1"),
        ("select\n\"a", "a quoted name that opens in line 2"),
        ("select /* a", "a comment that opens in line 1"),
        ("select $x$ a $$", "a `$x$` body that opens in line 1"),
        ("select /* a /* b */ 1", "inside of a comment"),
        ("select $1", "write `:name`"),
        ("select \0", "NUL"),
    ] {
        let error = Query::parse(sql).unwrap_err();
        assert!(error.contains(reason), "{sql:?}: {error}");
    }
}

/// Pieces of SQL whose placeholders are known, each complete in itself.
fn piece() -> impl Strategy<Value = (String, Option<String>)> {
    prop_oneof![
        "[a-z]{1,6}".prop_map(|word| (word, None)),
        "'[a-z:; -]{0,8}'".prop_map(|text| (text, None)),
        "\"[a-z:; -]{1,8}\"".prop_map(|name| (name, None)),
        "-- [a-z:;' ]{0,8}\n".prop_map(|comment| (comment, None)),
        "/\\* [a-z:;' ]{0,8} \\*/".prop_map(|comment| (comment, None)),
        "\\$\\$[a-z:;' ]{0,8}\\$\\$".prop_map(|body| (body, None)),
        Just((" ::date".to_owned(), None)),
        "[a-z_][a-z0-9_]{0,5}".prop_map(|name| (format!(":{name}"), Some(name))),
    ]
}

proptest! {
    #[test]
    fn any_mixture_of_known_pieces_gives_exactly_its_placeholders(pieces in proptest::collection::vec(piece(), 1..20)) {
        let sql = format!("x {}", pieces.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(" "));
        let mut used = Vec::new();
        let query = Query::parse(&sql).unwrap();
        let again = query.render(|out, name| { used.push(name.to_owned()); out.push(':'); out.push_str(name); });
        let expected: Vec<String> = pieces.into_iter().filter_map(|(_, name)| name).collect();
        prop_assert_eq!(used, expected);
        prop_assert!(sql.starts_with(&again));
    }

    #[test]
    fn no_text_makes_the_scanner_panic_and_rendering_names_gives_the_text_back(
        sql in "[ab:;'\"`$*/\\\\\\-\n éE1_\\[\\]]{0,40}"
    ) {
        if let Ok(query) = Query::parse(&sql) {
            let again = query.render(|out, name| { out.push(':'); out.push_str(name); });
            prop_assert!(sql.starts_with(&again));
            prop_assert_eq!(Query::parse(&again).unwrap(), query);
        }
    }
}
