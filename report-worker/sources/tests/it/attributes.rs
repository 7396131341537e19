//! What is known of whoever asks reaches the query and nothing else, on every kind of source.

use std::sync::Arc;

use model::artifact::Format;
use model::attributes::Attributes;
use model::problem::{Problem, ProblemKind};
use report::ReportDefinition;
use serde_json::{Value, json};

use crate::source::{OwnSource, Rows, report, request};

const SETUP: &str = "
    create table sale (id integer primary key, region varchar(40), customer integer, sold_on date, price numeric(12, 2));
    insert into sale values (1, 'EU', 11, '2024-01-01', 10.50), (2, 'US', 12, '2024-02-29', 3.25), (3, 'EU', 12, '2024-03-01', 7.00),
        (4, 'it''s; drop table sale --', 13, '2024-03-02', 1.00);";

macro_rules! on_every_source {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(super::OwnSource::sqlite(super::SETUP)).await; })*
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name(super::OwnSource::postgres(super::SETUP).await).await; })*
        }
        mod mariadb {
            $(#[tokio::test] async fn $name() { super::$name(super::OwnSource::mariadb(super::SETUP).await).await; })*
        }
    };
}

on_every_source!(
    an_attribute_is_bound_as_a_parameter_is,
    a_list_is_its_elements_and_an_empty_one_has_none,
    attributes_and_parameters_stand_beside_each_other,
    what_the_job_lacks_fails_the_read,
    words_that_may_hold_an_attribute_are_withheld,
    explaining_needs_no_attributes,
);

async fn read(source: &OwnSource, report: &Arc<ReportDefinition>, known: Value, params: &str) -> Result<Rows, Problem> {
    let attributes = Attributes::new(known.as_object().unwrap().clone()).unwrap();
    let mut reading = source.start(sources::ReadRequest { attributes, ..request(report, params) }).await?;
    let (schema, total, snapshot_at) = (Arc::clone(reading.schema()), reading.total(), reading.snapshot_at());
    let mut rows = Rows { schema, total, snapshot_at, batches: Vec::new() };
    while let Some(batch) = reading.next().await? {
        rows.batches.push(batch);
    }
    Ok(rows)
}

async fn ids(source: &OwnSource, report: &Arc<ReportDefinition>, known: Value) -> String {
    let csv = read(source, report, known, "{}").await.unwrap().written(Format::Csv);
    csv.lines().skip(1).collect::<Vec<_>>().join(",")
}

async fn an_attribute_is_bound_as_a_parameter_is(source: OwnSource) {
    let of_region = report(
        "select id from sale where region = :attribute.region order by id",
        "total = \"exact\"\n[attributes.region]\ntype = \"text\"\n",
    );
    for _ in 0..2 {
        assert_eq!(ids(&source, &of_region, json!({"region": "EU"})).await, "1,3");
        assert_eq!(ids(&source, &of_region, json!({"region": "it's; drop table sale --"})).await, "4");
        assert_eq!(ids(&source, &of_region, json!({"region": "US' or 1=1 --"})).await, "");
    }
    let of_each = report(
        "select id from sale where customer = :attribute.customer and sold_on >= :attribute.since and price < :attribute.most
         and (:attribute.internal or id > 100) order by id",
        "[attributes.customer]\ntype = \"integer\"\n[attributes.since]\ntype = \"date\"\n[attributes.most]\ntype = \"decimal\"\n\
         [attributes.internal]\ntype = \"boolean\"\n",
    );
    let known = json!({"customer": 12, "since": "2024-02-01", "most": "7.01", "internal": true});
    assert_eq!(ids(&source, &of_each, known.clone()).await, "2,3");
    let mut less = known;
    less["internal"] = json!(false);
    assert_eq!(ids(&source, &of_each, less).await, "");
}

async fn a_list_is_its_elements_and_an_empty_one_has_none(source: OwnSource) {
    let of = |is: &str, kind: &str| {
        let sql = format!("select id from sale where {is} order by id");
        report(&sql, &format!("[attributes.list]\ntype = \"{kind}\"\nlist = true\n"))
    };
    let customers = of("customer in (:attribute.list)", "integer");
    assert_eq!(ids(&source, &customers, json!({"list": [11, 13]})).await, "1,4");
    assert_eq!(ids(&source, &customers, json!({"list": []})).await, "", "nobody's customers");
    let others = of("customer not in (:attribute.list)", "integer");
    assert_eq!(ids(&source, &others, json!({"list": [12]})).await, "1,4");
    assert_eq!(ids(&source, &others, json!({"list": []})).await, "1,2,3,4");
    let days = of("sold_on in (:attribute.list)", "date");
    assert_eq!(ids(&source, &days, json!({"list": ["2024-02-29", "2030-01-01"]})).await, "2");
    assert_eq!(ids(&source, &days, json!({"list": []})).await, "");
}

async fn attributes_and_parameters_stand_beside_each_other(source: OwnSource) {
    let both = report(
        "select id from sale where region = :attribute.region and id > :region and :tenant = 'acme' order by id",
        "[params.region]\ntype = \"integer\"\n[attributes.region]\ntype = \"text\"\n",
    );
    let rows = read(&source, &both, json!({"region": "EU"}), r#"{"region": 1}"#).await.unwrap();
    assert_eq!(rows.written(Format::Csv), "id\r\n3\r\n");
}

async fn what_the_job_lacks_fails_the_read(source: OwnSource) {
    let of_region =
        report("select id from sale where region = :attribute.region", "[attributes.region]\ntype = \"text\"\n");
    for known in [json!({}), json!({"region": 7}), json!({"Region2".to_lowercase(): "EU"})] {
        let problem = read(&source, &of_region, known, "{}").await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::QueryFailed);
        assert!(problem.detail.contains(":attribute.region"), "{problem}");
    }
}

async fn words_that_may_hold_an_attribute_are_withheld(source: OwnSource) {
    let wrong = match source.database.kind() {
        "sqlite" => "json_extract('{}', upper(:attribute.region))",
        "mariadb" => "extractvalue('<a/>', concat('~', upper(:attribute.region)))",
        _ => "upper(:attribute.region)::int",
    };
    let report = report(&format!("select {wrong} as v"), "[attributes.region]\ntype = \"text\"\n");
    let problem = read(&source, &report, json!({"region": "hunter2"}), "{}").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QueryFailed);
    assert!(!problem.detail.to_lowercase().contains("hunter2") && problem.detail.contains("withheld"), "{problem}");
}

async fn explaining_needs_no_attributes(source: OwnSource) {
    let report = report(
        "select id, :attribute.region as r from sale where customer in (:attribute.customers)",
        "[attributes.region]\ntype = \"text\"\n[attributes.customers]\ntype = \"integer\"\nlist = true\n",
    );
    assert_eq!(sources::explain(&source.settings, &report).await.unwrap(), ["id", "r"]);
}
