use proptest::prelude::*;
use report::{Dialect, ListPlace, Query};

use Dialect::{Mysql, Postgres, Sqlite};

fn names(sql: &str, dialect: Dialect) -> Vec<String> {
    Query::parse(sql, dialect).unwrap_or_else(|why| panic!("{dialect:?}: {sql}: {why}")).placeholders().to_vec()
}

fn text(sql: &str, dialect: Dialect) -> String {
    Query::parse(sql, dialect).unwrap().render(|out, placeholder| {
        out.push('<');
        out.push_str(&placeholder.name);
        out.push('>');
    })
}

#[test]
fn placeholders_are_found_once_each_in_order_of_first_use() {
    for dialect in Dialect::ALL {
        assert_eq!(names("select :b, :a, :b from t where x=:c_1", dialect), ["b", "a", "c_1"]);
    }
}

#[test]
fn colons_in_strings_comments_names_and_casts_are_no_placeholders() {
    for dialect in Dialect::ALL {
        for sql in [
            "select ':a'",
            "select 'it''s :a'",
            "select 1 -- :a\n",
            "select 1 /* :a */",
            "select \"x:a\"",
            "select \"x\"\":a\"",
            "select x::date",
            "select 'ä:a', ä from t",
        ] {
            assert!(names(sql, dialect).is_empty(), "{dialect:?}: {sql}");
        }
    }
}

#[test]
fn placeholders_right_beside_other_syntax_are_found() {
    for dialect in Dialect::ALL {
        assert_eq!(names("select :a::date", dialect), ["a"]);
        assert_eq!(names("select ':x'||:a||':y'", dialect), ["a"]);
        assert_eq!(names("select 1-:a/:b-- :c", dialect), ["a", "b"]);
        assert_eq!(names("where x in (:a)", dialect), ["a"]);
        assert_eq!(names("select ä:a", dialect), ["a"]);
    }
}

/// Each row: a query, and the placeholders that PostgreSQL, MySQL and SQLite see in it. `None`: refused.
type Row<'a> = (&'a str, Option<&'a [&'a str]>, Option<&'a [&'a str]>, Option<&'a [&'a str]>);

const A: Option<&[&str]> = Some(&["a"]);
const REGION: Option<&[&str]> = Some(&["attribute.region"]);
const ATTRIBUTE: Option<&[&str]> = Some(&["attribute"]);
const NONE: Option<&[&str]> = Some(&[]);

const TABLE: &[Row<'_>] = &[
    // Backslashes.
    (r"select E'\' :a'", NONE, NONE, None),
    (r"select e'\\', 'x :a'", NONE, NONE, NONE),
    (r"select '\', :a", A, None, A),
    (r"select '\'', :a", None, A, None),
    (r#"select "\"", :a"#, None, A, None),
    (r"select name'\', :a", A, None, A),
    (r"select U&'\', :a", A, None, A),
    // A string goes on behind a line break, with the rules it began with.
    ("select E'a\\n'\n'it\\'s :a isn\\'t'", NONE, NONE, A),
    ("select E'a' -- and\n  '\\' :a'", NONE, NONE, None),
    ("select E'a' '\\', :a", A, None, A),
    ("select 'a'\n'\\', :a", A, None, A),
    ("select E'a' /* b\n */ '\\', :a", A, None, A),
    // A word, and so a string with escapes, may begin right behind a number.
    (r"select 1E'\' :a'", NONE, NONE, None),
    (r"select 1_E'\', :a", A, None, A),
    // Bodies between dollars, with tags of any letters.
    ("select $$ :a $$", NONE, A, None),
    ("select $body$ :a $$ :b $body$", NONE, Some(&["a", "b"]), None),
    ("select $é$ :a $é$", NONE, A, None),
    ("select $é$ ' $é$, :a", A, None, None),
    ("select $x$a$$x$, :a", A, A, None),
    ("select 1$$ :a $$", NONE, A, None),
    ("select a$b, :a", A, A, A),
    ("select price$$, :a", A, A, A),
    ("select $x$ a $$, :a", None, A, None),
    // Comments.
    ("select 5--3, :a\n", NONE, A, NONE),
    ("select 5 -- 3, :a\n", NONE, NONE, NONE),
    ("select 5 --\t3, :a\n", NONE, NONE, NONE),
    ("select 5 -- b\r, :a", A, NONE, NONE),
    ("select 5 # 3, :a\n", A, NONE, None),
    ("select /* a /* b */ :a", None, A, A),
    ("select /* a /* b */ :b */ :a", A, Some(&["b", "a"]), Some(&["b", "a"])),
    ("select */* :b */ :a", A, A, A),
    ("select +-- :b\n :a", A, A, A),
    // Quoted names.
    ("select `x:a`, 1", A, NONE, NONE),
    ("select `'`, :a", None, A, A),
    ("select [x:a]", A, A, NONE),
    ("select [it's], :a", None, None, A),
    (r#"select "it's", :a"#, A, A, A),
    // Code to some versions only.
    ("select 1 /*! limit 1 */", NONE, NONE, NONE),
    ("select 1 /*! + :a */", NONE, None, NONE),
    ("select 1 /*!80000 + '*/ :a", A, None, A),
    ("select 1 /*M!100100 + '*/' */, :a", None, None, None),
    // What the database would take for a parameter of its own.
    ("select ?, :a", A, None, None),
    ("select @b, :a", A, A, None),
    ("select $b, :a", A, A, None),
    ("select a[1:2], :a", A, A, A),
    // A name that goes on where names of placeholders do not.
    ("select :aé", None, None, None),
    ("select :a$b", None, None, None),
    ("select f(x := :a)", A, A, A),
    // Attributes, and what only looks like one.
    ("select :attribute.region||'x'", REGION, REGION, REGION),
    ("where r in (:attribute.region)", REGION, REGION, REGION),
    ("select ':attribute.region' -- :attribute.region\n", NONE, NONE, NONE),
    ("select :attribute.region.x", REGION, REGION, REGION),
    ("select :attribute . region", ATTRIBUTE, ATTRIBUTE, ATTRIBUTE),
    ("select :attributes.region", Some(&["attributes"]), Some(&["attributes"]), Some(&["attributes"])),
    ("select :a.b", A, A, A),
    ("select :attribute.", None, None, None),
    ("select :attribute.1", None, None, None),
    ("select :attribute.é", None, None, None),
    ("select :attribute.aé", None, None, None),
    ("select E'\\' :attribute.region'", NONE, NONE, None),
    ("select `:attribute.region`", REGION, NONE, NONE),
    ("select $$ :attribute.region $$", NONE, REGION, None),
];

#[test]
fn each_database_has_its_own_strings_names_and_comments() {
    let mut wrong = Vec::new();
    for (sql, postgres, mysql, sqlite) in TABLE {
        for (dialect, expected) in [(Postgres, postgres), (Mysql, mysql), (Sqlite, sqlite)] {
            let found = Query::parse(sql, dialect).map(|query| query.placeholders().to_vec());
            let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
            if found.clone().ok() != expected {
                wrong.push(format!("{dialect:?}: {sql:?}: {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_but_placeholders_and_a_final_semicolon_is_changed() {
    let sql = "-- why\nselect ':a', :a, x::int, :b -- :a\n from t where y = :a -- end";
    for dialect in Dialect::ALL {
        let expected = "-- why\nselect ':a', <a>, x::int, <b> -- :a\n from t where y = <a> -- end";
        assert_eq!(text(sql, dialect), expected);
        assert_eq!(text(&format!("{sql}\n ; -- bye\n ;"), dialect), expected);
    }
    assert_eq!(text("select 5--3", Mysql), "select 5--3");
    assert_eq!(text("select id from t /*! limit 1 */ ;", Mysql), "select id from t /*! limit 1 */");
    assert_eq!(text("select id from t /*+ hint */", Mysql), "select id from t /*+ hint */");
}

#[test]
fn queries_that_cannot_be_one_statement_are_refused_with_the_reason() {
    for (sql, reason) in [
        ("", "empty"),
        (" \n -- nothing\n/* at all */ ; ", "empty"),
        ("select 1; select 2", "several statements"),
        ("select 1; drop table t", "several statements"),
        ("; select 1", "several statements"),
        ("select 'a", "a string that opens in line 1"),
        ("select\n'a\\", "a string that opens in line 2"),
        ("select /* a", "a comment that opens in line 1"),
        ("select \0", "NUL"),
    ] {
        for dialect in Dialect::ALL {
            let error = Query::parse(sql, dialect).unwrap_err();
            assert!(error.contains(reason), "{dialect:?}: {sql:?}: {error}");
        }
    }
    for (dialect, sql, reason) in [
        (Postgres, "select\n\"a", "a quoted name that opens in line 2"),
        (Mysql, "select\n\"a", "a string that opens in line 2"),
        (Sqlite, "select\n[a", "a quoted name that opens in line 2"),
        (Postgres, "select $x$ a $$", "a `$x$` body that opens in line 1"),
        (Postgres, "select $1", "write `:name`"),
        (Mysql, "select ?", "write `:name`"),
        (Sqlite, "select @day", "`@d` is a parameter of the database"),
        (Mysql, "select 1 ; /*! into outfile 'x' */", "several statements"),
        (Mysql, "select 1 /*! ; */", "only some servers"),
        (Mysql, "select 1 /*!/*/*! + :a */ */", "put a space between them"),
    ] {
        let error = Query::parse(sql, dialect).unwrap_err();
        assert!(error.contains(reason), "{dialect:?}: {sql:?}: {error}");
    }
}

#[test]
fn a_list_is_elements_in_the_parentheses_of_in_and_nowhere_else() {
    use ListPlace::{Alone, Beside, Value};
    for (sql, places) in [
        ("where x in (:a)", &[Alone][..]),
        ("where x not IN\n( /* these */ :a -- and no more\n )", &[Alone]),
        ("where x in (:a, 9)", &[Beside]),
        ("where x in (9, :a, 'b')", &[Beside]),
        ("where x in (9, :a)", &[Beside]),
        ("where x in (:a, :b)", &[Beside, Beside]),
        ("where x in (:a || '', 1 + :b)", &[Value, Value]),
        ("where x in (select :a)", &[Value]),
        ("where x in (values (:a), (1))", &[Value]),
        ("where x in ((:a))", &[Value]),
        ("where x in (f(:a), :b)", &[Value, Beside]),
        ("where x = any(:a)", &[Value]),
        ("select :a, 'in' (:b), \"in\" (:c), min (:d)", &[Value; 4]),
    ] {
        for dialect in Dialect::ALL {
            let query = Query::parse(&format!("select * from t {sql}"), dialect).unwrap();
            let found: Vec<ListPlace> = query.uses().map(|placeholder| placeholder.place).collect();
            assert_eq!(found, places, "{dialect:?}: {sql}");
        }
    }
}

#[test]
fn the_first_word_stands_behind_comments_and_parentheses() {
    for dialect in Dialect::ALL {
        let query = Query::parse(" -- why\n/* and how */ ((WITH a as (select 1) table a))", dialect).unwrap();
        assert_eq!(query.leading_word(), "WITH");
    }
}

/// Pieces of SQL whose placeholders are known, each complete in itself, whatever the database.
fn piece() -> impl Strategy<Value = (String, Option<String>)> {
    prop_oneof![
        "[a-z]{1,6}".prop_map(|word| (word, None)),
        "'[a-z:; -]{0,8}'".prop_map(|text| (text, None)),
        "\"[a-z:; -]{1,8}\"".prop_map(|name| (name, None)),
        "-- [a-z:;' ]{0,8}\n".prop_map(|comment| (comment, None)),
        "/\\* [a-z:;' ]{0,8} \\*/".prop_map(|comment| (comment, None)),
        Just((" ::date".to_owned(), None)),
        "[a-z_][a-z0-9_]{0,5}".prop_map(|name| (format!(":{name}"), Some(name))),
    ]
}

fn dialects() -> impl Strategy<Value = Dialect> {
    prop::sample::select(&Dialect::ALL[..])
}

proptest! {
    #[test]
    fn any_mixture_of_known_pieces_gives_exactly_its_placeholders(
        pieces in proptest::collection::vec(piece(), 1..20), dialect in dialects()
    ) {
        let sql = format!("x {}", pieces.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(" "));
        let mut used = Vec::new();
        let query = Query::parse(&sql, dialect).unwrap();
        let again = query.render(|out, placeholder| {
            used.push(placeholder.name.clone());
            out.push(':');
            out.push_str(&placeholder.name);
        });
        let expected: Vec<String> = pieces.into_iter().filter_map(|(_, name)| name).collect();
        prop_assert_eq!(used, expected);
        prop_assert_eq!(sql.trim_ascii_end(), again);
    }

    #[test]
    fn no_text_makes_the_scanner_panic_and_rendering_names_gives_the_text_back(
        sql in "[abMe:;'\"`$*/\\\\!#?@\\-\n\r éE1_\\[\\]()]{0,40}", dialect in dialects()
    ) {
        if let Ok(query) = Query::parse(&sql, dialect) {
            let again = query.render(|out, placeholder| { out.push(':'); out.push_str(&placeholder.name); });
            prop_assert!(sql.starts_with(&again));
            prop_assert_eq!(Query::parse(&again, dialect).unwrap(), query);
        }
    }
}
