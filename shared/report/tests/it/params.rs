use model::job::Params;
use proptest::prelude::*;
use report::{ReportDefinition, params_schema, parse_definition, validate_params};
use serde_json::{Value, json};

fn report(params: &str) -> ReportDefinition {
    let used: Vec<String> = params
        .lines()
        .filter_map(|line| line.strip_prefix("[params.")?.strip_suffix(']'))
        .map(|name| format!(":{name}"))
        .collect();
    let text = format!("title = \"T\"\nsource = \"demo\"\nsql = \"select 1, {}\"\n{params}", used.join(", "));
    parse_definition("test", &text).unwrap()
}

fn map(value: Value) -> Params {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is not an object"),
    }
}

fn one(kind: &str, value: &Value) -> Result<Value, String> {
    let extra = if kind == "choice" { "choices = [\"A\", \"B\"]" } else { "" };
    let def = report(&format!("[params.p]\ntype = \"{kind}\"\n{extra}"));
    validate_params(&def, &map(json!({ "p": value })))
        .map(|mut valid| valid.remove("p").unwrap())
        .map_err(|errors| errors[0].detail.clone())
}

#[test]
fn values_become_canonical() {
    for (kind, given, expected) in [
        ("text", json!("a b"), json!("a b")),
        ("integer", json!(-5), json!(-5)),
        ("integer", json!(5.0), json!(5)),
        ("integer", json!(i64::MAX), json!(i64::MAX)),
        ("decimal", json!(12.5), json!("12.5")),
        ("decimal", json!(1e30), json!("1000000000000000000000000000000")),
        ("decimal", json!("0012.500"), json!("12.5")),
        ("decimal", json!("-0.00"), json!("0")),
        ("decimal", json!(7), json!("7")),
        ("decimal", json!("12345678901234567890.123456789"), json!("12345678901234567890.123456789")),
        ("boolean", json!(true), json!(true)),
        ("date", json!("2024-02-29"), json!("2024-02-29")),
        ("timestamp", json!("2024-01-31T09:30:00+01:00"), json!("2024-01-31T08:30:00Z")),
        ("timestamp", json!("2024-01-31T08:30:00.5Z"), json!("2024-01-31T08:30:00.500Z")),
        ("timestamp", json!("2016-12-31T23:59:60Z"), json!("2017-01-01T00:00:00Z")),
        ("choice", json!("B"), json!("B")),
    ] {
        assert_eq!(one(kind, &given), Ok(expected), "{kind} {given}");
    }
}

#[test]
fn values_of_the_wrong_kind_are_refused_and_never_repeated() {
    for (kind, given) in [
        ("text", json!(5)),
        ("text", json!("a\u{0}b")),
        ("text", json!("x".repeat(1001))),
        ("integer", json!("5")),
        ("integer", json!(5.5)),
        ("integer", json!(1e300)),
        ("integer", json!(u64::MAX)),
        ("decimal", json!("1e5")),
        ("decimal", json!(".5")),
        ("decimal", json!("+5")),
        ("decimal", json!("")),
        ("decimal", json!("1".repeat(39))),
        ("decimal", json!(0.123_456_789_012_345_67)),
        ("boolean", json!("true")),
        ("boolean", json!(1)),
        ("date", json!("2023-02-29")),
        ("date", json!("2023-2-01")),
        ("date", json!("0000-01-01")),
        ("date", json!("2023-02-01T00:00:00Z")),
        ("timestamp", json!("2024-01-31T08:30:00")),
        ("timestamp", json!("2024-01-31")),
        ("timestamp", json!("0000-01-01T00:00:00Z")),
        ("choice", json!("C")),
        ("choice", json!("a")),
        ("date", json!(null)),
        ("text", json!(["a"])),
        ("text", json!({"a": 1})),
    ] {
        let detail = one(kind, &given).expect_err(&format!("{kind} {given}"));
        assert!(detail.starts_with("must") || detail.starts_with("has more digits"), "{detail}");
    }
}

#[test]
fn every_fault_is_told_at_once_with_its_pointer() {
    let def = report(
        "[params.from]\ntype = \"date\"\nmin = \"2020-01-01\"\n[params.limit]\ntype = \"integer\"\nmax = 10\n\
         [params.names]\ntype = \"text\"\nlist = true\nmax_length = 3\n[params.kind]\ntype = \"choice\"\nchoices = [\"A\", \"B\"]\n",
    );
    let given =
        json!({ "from": "2019-12-31", "limit": 11, "names": ["ok", 5, "long"], "limt": 1, "tenant": "x", "a/b~c": 1 });
    let errors = validate_params(&def, &map(given)).unwrap_err();
    let lines: Vec<_> = errors.iter().map(|error| format!("{} {}", error.pointer, error.detail)).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn defaults_are_filled_in_and_optional_parameters_are_null() {
    let def = report(
        "[params.a]\ntype = \"integer\"\ndefault = 5\n[params.b]\ntype = \"text\"\noptional = true\n\
         [params.c]\ntype = \"date\"\ndefault = \"2024-01-01\"\noptional = true\n",
    );
    let valid = validate_params(&def, &Params::new()).unwrap();
    assert_eq!(Value::Object(valid), json!({ "a": 5, "b": null, "c": "2024-01-01" }));
    let valid = validate_params(&def, &map(json!({ "c": null }))).unwrap();
    assert_eq!(valid["c"], Value::Null, "an optional parameter's default can be taken away");
    assert!(validate_params(&def, &map(json!({ "a": null }))).is_err());
}

#[test]
fn lists_are_limited_in_length_and_not_empty() {
    let def = report("[params.p]\ntype = \"integer\"\nlist = true\nmax_items = 3\n");
    let check = |value: Value| validate_params(&def, &map(json!({ "p": value })));
    assert_eq!(check(json!([3, 1.0, 2])).unwrap()["p"], json!([3, 1, 2]));
    for bad in [json!([]), json!([1, 2, 3, 4]), json!(1), json!([null]), json!([[1]])] {
        assert!(check(bad.clone()).is_err(), "{bad}");
    }
    let wide = report("[params.p]\ntype = \"integer\"\nlist = true\n");
    let many: Vec<Value> = (0..1000).map(|_| json!("x")).collect();
    let errors = validate_params(&wide, &map(json!({ "p": many }))).unwrap_err();
    assert_eq!(errors.len(), 20, "a list tells its first faults only");
}

#[test]
fn the_schema_says_what_the_parameters_are() {
    let def = report(
        "[params.day]\ntype = \"date\"\nlabel = \"Day\"\ndescription = \"Which day.\"\ndefault = \"2024-01-01\"\nmin = \"2020-01-01\"\n\
         [params.top]\ntype = \"integer\"\nmin = 1\nmax = 10\n[params.secret]\ntype = \"text\"\nsensitive = true\ndefault = \"s\"\n\
         [params.kinds]\ntype = \"choice\"\nlist = true\nchoices = [\"A\", \"B\"]\noptional = true\n\
         [params.price]\ntype = \"decimal\"\nmin = 0.5\n",
    );
    insta::assert_json_snapshot!(params_schema(&def));
}

proptest! {
    #[test]
    fn validating_what_is_valid_changes_nothing(
        text in "\\PC{0,20}", int in any::<i64>(), cents in any::<i64>(), scale in 0_usize..18, days in 0_i64..3_000_000, micros in 0_i64..253_402_300_799_000_000
    ) {
        let def = report("[params.t]\ntype = \"text\"\n[params.i]\ntype = \"integer\"\n[params.d]\ntype = \"decimal\"\n[params.day]\ntype = \"date\"\n[params.at]\ntype = \"timestamp\"\n");
        let digits = format!("{:020}", cents.unsigned_abs());
        let decimal = format!("{}{}.{}", if cents < 0 { "-" } else { "" }, &digits[..20 - scale], &format!("{}0", &digits[20 - scale..]));
        let day = chrono::NaiveDate::from_ymd_opt(1, 1, 1).unwrap() + chrono::Days::new(days.unsigned_abs());
        let at = chrono::DateTime::from_timestamp_micros(micros).unwrap().to_rfc3339();
        let given = map(json!({ "t": text, "i": int, "d": decimal, "day": day.to_string(), "at": at }));
        let once = validate_params(&def, &given).unwrap();
        let twice = validate_params(&def, &once).unwrap();
        prop_assert_eq!(&once, &twice);
        prop_assert_eq!(chrono::DateTime::parse_from_rfc3339(once["at"].as_str().unwrap()).unwrap().timestamp_micros(), micros);
    }

    #[test]
    fn ranges_of_decimals_agree_with_whole_numbers(value in -10_000_000_i64..10_000_000, min in -10_000_000_i64..10_000_000, scale in 0_usize..5) {
        let shift = |number: i64| {
            let digits = format!("{:010}", number.unsigned_abs());
            let sign = if number < 0 { "-" } else { "" };
            format!("{sign}{}.{}0", &digits[..10 - scale], &digits[10 - scale..])
        };
        let def = report(&format!("[params.p]\ntype = \"decimal\"\nmin = \"{}\"\n", shift(min)));
        let outcome = validate_params(&def, &map(json!({ "p": shift(value) })));
        prop_assert_eq!(outcome.is_ok(), value >= min);
    }
}
