use model::attributes::Attributes;
use report::{ReportDefinition, attributes_read, check_attributes, fingerprint, parse_definition};
use serde_json::{Value, json};

fn report(rest: &str) -> ReportDefinition {
    let text = format!("title = \"T\"\nsource = \"s\"\nreuse = \"1h\"\n{rest}");
    parse_definition("t", &text).unwrap()
}

fn known(said: &Value) -> Attributes {
    Attributes::new(said.as_object().unwrap().clone()).unwrap()
}

const EVERY_TYPE: &str = "sql = \"select :attribute.t, :attribute.i, :attribute.d, :attribute.b, :attribute.y, :attribute.p where 1 in (:attribute.l)\"\n\
    [attributes.t]\ntype = \"text\"\n[attributes.i]\ntype = \"integer\"\n[attributes.d]\ntype = \"decimal\"\n[attributes.b]\ntype = \"boolean\"\n\
    [attributes.y]\ntype = \"date\"\n[attributes.p]\ntype = \"timestamp\"\n[attributes.l]\ntype = \"integer\"\nlist = true\n";

#[test]
fn attributes_are_read_as_the_report_says_and_everything_that_cannot_be_is_told_at_once() {
    let report = report(EVERY_TYPE);
    let good = json!({"t": "EU", "i": 7, "d": "12.50", "b": true, "y": "2024-02-29", "p": "2024-01-31T09:30:00+01:00", "l": [],
        "beside": "ignored"});
    let read = check_attributes(&report, &known(&good)).unwrap();
    assert_eq!((&read["attribute.d"], &read["attribute.p"]), (&json!("12.5"), &json!("2024-01-31T08:30:00Z")));
    assert_eq!((read.len(), &read["attribute.l"]), (7, &json!([])), "nobody's customers are a good list");
    let wrong = json!({"t": 7, "i": "7", "d": "hidden", "y": "2024-02-30", "p": "2024-01-31", "l": 1});
    let unread = check_attributes(&report, &known(&wrong)).unwrap_err();
    let told: Vec<_> = unread.iter().map(|one| (one.name.as_str(), one.is_there)).collect();
    assert_eq!(
        told,
        [("t", true), ("i", true), ("d", true), ("b", false), ("y", true), ("p", true), ("l", true)],
        "which are missing and which are something else"
    );
    assert_eq!(unread[6].expected, "a list, each element a whole number");
    assert!(!format!("{unread:?}").contains("hidden"), "no value is told");
}

#[test]
fn only_what_the_rows_depend_on_counts() {
    let of_region = report("sql = \"select :attribute.region\"\n[attributes.region]\ntype = \"text\"\n");
    let (secured, open) = (report("row_level_security = true\nsql = \"select 1\"\n"), report("sql = \"select 1\"\n"));
    let one = known(&json!({"region": "EU", "level": 1}));
    let other = known(&json!({"region": "EU", "level": 2}));
    assert_eq!(attributes_read(&of_region, &one), attributes_read(&of_region, &other), "the level is nothing to it");
    assert_ne!(attributes_read(&secured, &one), attributes_read(&secured, &other), "a policy may read it");
    assert!(attributes_read(&open, &one).is_empty());
    assert!(of_region.reads_attributes() && secured.reads_attributes() && !open.reads_attributes());
    assert!(secured.reads_principal, "its rows are one principal's");
}

#[test]
fn who_asks_tells_jobs_apart_where_the_source_limits_the_rows() {
    let secured = report("row_level_security = true\nsql = \"select 1\"\n");
    let of = |principal: &str| {
        let caller = model::job::Caller { tenant: "acme".into(), principal: principal.into() };
        let (params, formats) = (model::job::Params::new(), [model::artifact::Format::Csv]);
        fingerprint(&secured, &caller, &params, &formats, model::refusal::OnRefusal::Fail, None)
    };
    assert_ne!(of("ana"), of("eve"));
}

#[test]
fn a_placeholder_of_an_attribute_is_no_parameter() {
    let report = report(
        "sql = \"select :attribute.region, :region\"\n[params.region]\ntype = \"text\"\n[attributes.region]\ntype = \"text\"\n",
    );
    assert!(report.placeholder("attribute.region").unwrap().sensitive, "what is known of somebody is not shown");
    assert!(!report.placeholder("region").unwrap().sensitive);
    let schema = report::params_schema(&report).to_string();
    assert!(!schema.contains("attribute"), "nobody is asked for it: {schema}");
    let given = json!({"region": "x", "attribute.region": "US"});
    let faults = report::validate_params(&report, given.as_object().unwrap()).unwrap_err();
    assert_eq!(faults[0].pointer, "/params/attribute.region");
}
