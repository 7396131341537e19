//! The `[[schedules]]` tables of a file: what they ask for, and what is wrong with them.

use report::{ReportDefinition, check_definition};
use serde_json::json;

const HEAD: &str = r#"title = "Sales"
source = "demo"
formats = ["csv", "xlsx"]
sql = "select :day, :region, :secret, :months"
[params.day]
type = "date"
[params.region]
type = "choice"
choices = ["north", "south"]
default = "north"
[params.months]
type = "text"
list = true
optional = true
[params.secret]
type = "text"
optional = true
sensitive = true
"#;
const GOOD: &str = r#"[[schedules]]
name = "monthly"
tenant = "acme"
owner = "ana"
params = { day = { relative = "start_of_month", minus = "1 month" }, months = { relative = "last_months", count = 3 } }
formats = ["xlsx"]
notify = [{ channel = "email", to = "ana@example.com" }]
when = "last working day of the month at 18:00"
zone = "Europe/Berlin"
starts_at = 2026-03-01T00:00:00Z
catch_up = "2h"
pause_after = 3
"#;

fn read(schedules: &str) -> Result<ReportDefinition, Vec<String>> {
    let told = |fault: report::DefinitionFault| fault.to_string();
    check_definition("sales", &format!("{HEAD}{schedules}")).map_err(|faults| faults.into_iter().map(told).collect())
}

#[test]
fn a_schedule_of_a_file_asks_for_what_a_body_of_the_api_would() {
    let report = read(GOOD).unwrap();
    let [spec] = &report.schedules[..] else { panic!("{:?}", report.schedules) };
    assert_eq!((spec.name.as_str(), spec.tenant.as_str(), spec.owner.as_str()), ("monthly", "acme", "ana"));
    let expected = json!({
        "params": {
            "day": {"relative": "start_of_month", "minus": "1 month"}, "months": {"relative": "last_months", "count": 3},
        },
        "formats": ["xlsx"], "notify": [{"channel": "email", "to": "ana@example.com"}],
        "when": "last working day of the month at 18:00", "zone": "Europe/Berlin", "starts_at": "2026-03-01T00:00:00Z",
        "catch_up": "2h", "pause_after": 3,
    });
    assert_eq!(serde_json::Value::Object(spec.asked.clone()), expected);
}

#[test]
fn an_edition_is_another_one_when_what_is_asked_for_is_another_and_only_then() {
    let edition = |text: &str| read(text).unwrap().schedules[0].edition();
    let first = edition(GOOD);
    assert_eq!(first, edition(&GOOD.replace("catch_up", "# A remark.\ncatch_up")));
    for (before, after) in [("\"2h\"", "\"3h\""), ("owner = \"ana\"", "owner = \"ben\""), ("count = 3", "count = 4")] {
        assert_ne!(first, edition(&GOOD.replace(before, after)), "{after}");
    }
}

#[test]
fn each_mistake_in_a_schedule_is_told_at_its_place() {
    let cases = [
        ("18:00\"", "25:00\"", "sales.toml:26:8: "),
        ("owner = \"ana\"\n", "", "sales.toml:19:1: `owner` is missing in [[schedules]]"),
        ("zone", "zonne", "sales.toml:27:1: unknown key `zonne` in [[schedules]]; did you mean `zone`?"),
        ("Europe/Berlin", "Mars/Olympus", "sales.toml:27:8: `Mars/Olympus` is not an IANA time zone"),
        ("\"monthly\"", "\"Monthly one\"", "sales.toml:20:8: a schedule's `name` must be lower-case letters"),
        ("\"ana\"", "\"a n a\"", "sales.toml:22:9: use letters, digits"),
        ("{ day =", "{ dya =", "sales.toml:23:10: the report needs the parameter `day`"),
        ("months =", "moths =", "sales.toml:23:70: the report has no parameter `moths`"),
        ("months = {", "region = \"west\", n = {", "sales.toml:23:79: the parameter `region` must be one of"),
        ("start_of_month", "start_of_mouth", "sales.toml:23:18: the parameter `day` `start_of_mouth` is not known"),
        ("months = {", "secret = \"x\", months = {", "sales.toml:23:79: `secret` is sensitive"),
        ("[\"xlsx\"]", "[\"pdf\"]", "sales.toml:24:12: the report is not made in `pdf`"),
        ("\"email\"", "\"pigeon\"", "sales.toml:25:11: `notify`: "),
        ("2026-03-01T00:00:00Z", "2026-03-01", "sales.toml:28:13: `starts_at` must be a time with its zone"),
        ("catch_up = \"2h\"", "catch_up = \"1s\"", "sales.toml:29:12: `catch_up` must be from 1m to "),
        ("pause_after = 3", "pause_after = -1", "sales.toml:30:15: `pause_after` must be between 0 and 1000"),
        ("pause_after = 3", "overlap = \"maybe\"", "sales.toml:30:11: `overlap` must be one of"),
        ("pause_after = 3", "on_holiday = \"skip\"", "sales.toml:30:14: `on_holiday` needs a `calendar`"),
        ("pause_after = 3", "latest = \"07:30\"", "sales.toml:30:10: `latest` is for what fires by event"),
        ("last working day of the month at 18:00\"", "on event\"\nlatest = \"25:00\"", "sales.toml:27:10: "),
        (
            "last working day of the month at 18:00\"",
            "on event\"\nwithin = \"5m\"",
            "sales.toml:27:10: `within` is for what has",
        ),
        ("pause_after = 3", "ends_at = 2026-02-01T00:00:00Z", "sales.toml:30:11: `ends_at` must be after `starts_at`"),
    ];
    let told = |(before, after, expected): (&str, &str, &'static str)| {
        let text = GOOD.replace(before, after);
        let faults = read(&text).expect_err(&text);
        (!faults.iter().any(|fault| fault.starts_with(expected))).then_some((expected, faults))
    };
    assert!(read(&GOOD.replace("last working day of the month at 18:00", "on event")).is_ok());
    let missing: Vec<_> = cases.into_iter().filter_map(told).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    let twice = read(&format!("{GOOD}{GOOD}")).unwrap_err();
    assert_eq!(twice, ["sales.toml:32:8: [[schedules]] names `monthly` twice for the tenant `acme`"]);
    assert!(read(&format!("{GOOD}{}", GOOD.replace("acme", "other"))).is_ok(), "another tenant's is another one");
    let many: String = (0..101).map(|n| GOOD.replace("monthly", &format!("n{n}"))).collect();
    assert!(read(&many).unwrap_err()[0].ends_with("a report has at most 100 schedules"));
}
