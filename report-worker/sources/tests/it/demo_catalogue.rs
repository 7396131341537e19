//! The demo catalogue gives the same rows on every kind of source.

use std::sync::Arc;

use model::artifact::Format;
use report::{DEMO_CATALOGUE, ReportDefinition, parse_definition};

use crate::source::OwnSource;

/// The columns that the reports use, and a handful of rows.
const SETUP: &str = "
    create table region (r_regionkey integer, r_name text);
    create table nation (n_nationkey integer, n_name text, n_regionkey integer);
    create table tenant_nation (tenant text, nationkey integer);
    create table customer (c_custkey integer, c_name text, c_nationkey integer, c_phone text, c_mktsegment text);
    create table orders (o_orderkey integer, o_custkey integer, o_orderstatus text, o_totalprice numeric(15, 2),
        o_orderdate date, o_placed_at timestamptz, o_orderpriority text, o_clerk text, o_shippriority integer);
    create table lineitem (l_orderkey integer, l_linenumber integer, l_partkey integer, l_suppkey integer,
        l_quantity integer, l_extendedprice numeric(15, 2), l_discount numeric(15, 2), l_tax numeric(15, 2),
        l_returnflag text, l_linestatus text, l_shipdate date, l_commitdate date, l_receiptdate date,
        l_shipinstruct text, l_shipmode text, l_comment text);
    insert into region values (0, 'AFRICA'), (3, 'EUROPE');
    insert into nation values (0, 'ALGERIA', 0), (6, 'FRANCE', 3);
    insert into tenant_nation values ('acme', 6), ('other', 0);
    insert into customer values (1, 'Ana', 6, '16-1', 'BUILDING'), (2, 'Ben', 0, '10-2', 'MACHINERY');
    insert into orders values
        (1, 1, 'O', 150000.25, '1995-01-15', '1998-07-02T08:30:00Z', '1-URGENT', 'Clerk#1', 0),
        (2, 1, 'F', 90000.00, '1997-03-01', '1998-07-03T09:00:00Z', '5-LOW', 'Clerk#2', 0),
        (3, 2, 'F', 250000.00, '1997-12-31', '1998-09-01T09:00:00Z', '2-HIGH', 'Clerk#1', 0);
    insert into lineitem values
        (1, 1, 10, 20, 17, 150000.25, 0.04, 0.02, 'N', 'O', '1995-04-01', '1995-03-01', '1995-04-09', 'NONE', 'AIR', 'quick Fox'),
        (1, 2, 11, 21, 3, 1200.50, 0.00, 0.08, 'N', 'O', '1995-04-02', '1995-05-01', '1995-04-10', 'NONE', 'RAIL', 'slow'),
        (2, 1, 12, 22, 5, 90000.00, 0.10, 0.00, 'R', 'F', '1997-04-01', '1997-04-02', '1997-04-03', 'NONE', 'REG AIR', 'fox'),
        (3, 1, 13, 23, 50, 250000.00, 0.05, 0.05, 'A', 'F', '1998-02-01', '1998-01-01', '1998-02-03', 'NONE', 'SHIP', 'dog');";

/// Parameters beside the defaults: every optional one, once given and once not.
const WISHES: [(&str, &str); 12] = [
    ("pricing-summary", "{}"),
    ("shipping-priority", "{}"),
    ("revenue-by-nation", "{}"),
    ("revenue-by-nation", r#"{"regions": ["EUROPE"], "from_year": 1997}"#),
    ("top-customers", "{}"),
    ("top-customers", r#"{"with_returns": false, "min_revenue": "0.01", "top": 1}"#),
    ("line-item-export", "{}"),
    ("line-item-export", r#"{"shipped_from": "1995-04-02", "shipped_until": "1997-12-31", "remark_contains": "FOX"}"#),
    ("line-item-export", r#"{"late_only": true, "min_price": 1200.5, "ship_modes": ["AIR", "SHIP"]}"#),
    ("market-segment-orders", r#"{"segment": "BUILDING", "priorities": ["5-LOW", "1-URGENT"]}"#),
    ("order-intake", "{}"),
    ("order-intake", r#"{"clerk": "Clerk#1", "placed_until": "1999-01-01T01:00:00+01:00"}"#),
];

fn report(name: &str) -> Arc<ReportDefinition> {
    let (_, text) = DEMO_CATALOGUE.iter().find(|(known, _)| *known == name).unwrap();
    Arc::new(parse_definition(name, text).unwrap())
}

async fn rows(source: &OwnSource, name: &str, params: &str) -> Vec<String> {
    let written = source.read_report(&report(name), params).await.unwrap().written(Format::Csv);
    written.lines().map(str::to_owned).collect()
}

/// Reads cells as numbers where they are: one source writes 1.50, another one 1.5.
fn cells(line: &str) -> Vec<String> {
    line.split(',')
        .map(|cell| cell.parse::<f64>().map_or_else(|_| cell.to_owned(), |number| number.to_string()))
        .collect()
}

#[tokio::test]
async fn every_demo_report_gives_the_same_rows_on_sqlite_and_on_postgres() {
    let (sqlite, postgres) = (OwnSource::sqlite(SETUP), OwnSource::postgres(SETUP).await);
    for (name, params) in WISHES {
        let (left, right) = (rows(&sqlite, name, params).await, rows(&postgres, name, params).await);
        assert!(left.len() > 1, "{name} {params} gives no rows");
        let same = |lines: &[String]| lines.iter().map(|line| cells(line)).collect::<Vec<_>>();
        assert_eq!(same(&left), same(&right), "{name} {params}");
    }
    for (name, _) in DEMO_CATALOGUE {
        assert!(WISHES.iter().any(|(known, _)| *known == name), "{name} is not tried");
    }
}

#[tokio::test]
async fn a_tenant_sees_the_customers_of_its_own_sales_area_only() {
    let sqlite = OwnSource::sqlite(SETUP);
    let seen = rows(&sqlite, "top-customers", r#"{"min_revenue": "0"}"#).await;
    assert!(seen.len() == 2 && seen[1].contains("Ana"), "{seen:?}");
}
