//! What definitions say of files, and what other programs find in them: numbers, charts, marks, signs, long texts.

use std::path::Path;

use testing::pdf::Pdf;
use testing::postgres;
use testing::workbook::{Cell, Workbook};
use toml::Table;

use super::client::Client;
use super::system::{key_of, section, start};

/// Reports, each with what its file begins with and its query.
const REPORTS: [(&str, &str); 6] = [
    (
        "means",
        r#"
title = "Means"
source = "postgres"
formats = ["xlsx"]
sql = """
select i % 2 as grp, avg(i / 3.0) as mean, sum(i) / 7.0 as share from generate_series(1, 10) i group by 1 order by 1"""
[[columns]]
name = "mean"
format = "number:2"
total = "sum"
[[columns]]
name = "share"
format = "percent:1"
"#,
    ),
    (
        "floats",
        r#"
title = "Floats"
source = "sqlite"
formats = ["xlsx"]
sql = "select 1.0/3 as share, 0.1+0.2 as s"
"#,
    ),
    (
        "phones",
        r#"
title = "Phones"
source = "sqlite"
sql = "select '+49 170 1234' as phone, '-5.50' as amount, '-$5.00' as price, '-' as none, '=1+1' as formula"
"#,
    ),
    (
        "kept",
        r#"
title = "Phones"
source = "sqlite"
sql = "select '+49 170 1234' as phone, '=1+1' as formula"
[csv]
formulas = "keep"
"#,
    ),
    (
        "marks",
        r#"
title = "Marks"
source = "sqlite"
formats = ["pdf"]
sql = """
select 'Zucker' || char(173) || 'rübe' as shy, 'a' || char(8206) || 'b' || char(8207) || 'c' as lrm, 'a' || char(8205) || 'b' as zwj"""
"#,
    ),
    (
        "months",
        r#"
title = "Sales by month"
source = "sqlite"
formats = ["pdf"]
sql = "select '1' as x, cast(null as integer) as v union all select '2', null"
[chart]
kind = "line"
x = "x"
y = ["v"]
"#,
    ),
];

fn put_catalogue(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    for (name, text) in REPORTS {
        std::fs::write(folder.join(format!("{name}.toml")), text).unwrap();
    }
    let long = format!(
        "title = \"Long\"\nsource = \"sqlite\"\nformats = [\"xlsx\"]\ndescription = \"{}\"\nsql = \"select 1 as a\"\n",
        "d".repeat(40_000)
    );
    std::fs::write(folder.join("long.toml"), long).unwrap();
}

pub(super) async fn are_as_the_definition_says() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = postgres::fresh_database().await.unwrap();
    let facts = folder.path().join("facts.db");
    rusqlite::Connection::open(&facts).unwrap().execute_batch("create table t (n int)").unwrap();
    let catalogue = folder.path().join("catalogue");
    put_catalogue(&catalogue);
    let sources = Table::from_iter([
        ("postgres".to_owned(), section([("url", postgres.url())]).into()),
        ("sqlite".to_owned(), section([("url", &format!("sqlite:{}", facts.display()))]).into()),
    ]);
    let settings = Table::from_iter([
        ("service".to_owned(), section([("data_dir", folder.path().join("data").to_str().unwrap())]).into()),
        ("catalogue".to_owned(), section([("folder", catalogue.to_str().unwrap())]).into()),
        ("sources".to_owned(), sources.into()),
    ]);
    let file = folder.path().join("waitless.toml");
    std::fs::write(&file, settings.to_string()).unwrap();
    let up = start("waitless", &["up"], &file).await;
    let client = Client::new(up.url(), &key_of(folder.path()));

    workbooks(&client).await;
    assert_eq!(
        client.csv_of("phones", None).await,
        "phone,amount,price,none,formula\r\n+49 170 1234,-5.50,-$5.00,-,'=1+1\r\n"
    );
    assert_eq!(client.csv_of("kept", None).await, "phone,formula\r\n+49 170 1234,=1+1\r\n");
    let marks = Pdf::of(&client.file_of("marks", "pdf").await).text();
    let rows: Vec<Vec<&str>> = marks.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(rows.contains(&vec!["Zuckerrübe", "abc", "ab"]), "{marks}");
    let months = Pdf::of(&client.file_of("months", "pdf").await).text();
    assert!(months.contains("There is nothing to draw") && !months.contains("NaN"), "{months}");
}

async fn workbooks(client: &Client) {
    let means = Workbook::read(&client.file_of("means", "xlsx").await);
    let sheet = means.sheet(1);
    assert_eq!(sheet[1][1], Cell::Number("2".to_owned()));
    assert!(matches!(&sheet[2][1], Cell::Number(mean) if mean.starts_with("1.666666666666666")), "{:?}", sheet[2]);
    assert!(sheet[1..3].iter().all(|row| matches!(row[2], Cell::Number(_))), "{sheet:?}");
    assert!(matches!(&sheet[3][1], Cell::Formula(formula, _) if formula == "SUBTOTAL(109,B2:B3)"), "{:?}", sheet[3]);
    assert_eq!((means.format(1, 1, 1), means.format(1, 1, 2)), ("#,##0.00".to_owned(), "#,##0.0%".to_owned()));
    let floats = Workbook::read(&client.file_of("floats", "xlsx").await).sheet(1);
    let number = |text: &str| Cell::Number(text.to_owned());
    assert_eq!(floats[1], [number("0.3333333333333333"), number("0.30000000000000004")]);
    let long = Workbook::read(&client.file_of("long", "xlsx").await).sheet(2);
    let texts =
        long.iter().flatten().filter_map(|cell| if let Cell::Text(text) = cell { Some(text.len()) } else { None });
    assert_eq!(texts.filter(|length| *length > 1000).collect::<Vec<_>>(), [32_767, 40_000 - 32_767]);
}
