//! The peer of our workbooks: reads line items and writes them with `rust_xlsxwriter`, and nothing else.
//!
//! `xlsx-peer DATABASE FILE memory|constant_memory ROWS` prints its peak memory in megabytes. The database hands it numbers and days that
//! are doubles already.
#![expect(clippy::print_stdout, reason = "its answer goes to standard output")]

use std::pin::pin;

use anyhow::{Context as _, bail};
use futures_util::TryStreamExt as _;
use rust_xlsxwriter::{Format, Workbook, Worksheet};
use tokio_postgres::{NoTls, Row};

const SQL: &str = "
    select l_orderkey, l_partkey, l_suppkey, l_linenumber, l_quantity::float8, l_extendedprice::float8, l_discount::float8,
           l_tax::float8, l_returnflag, l_linestatus, l_shipdate - date '1899-12-30', l_commitdate - date '1899-12-30',
           l_receiptdate - date '1899-12-30', l_shipinstruct, l_shipmode, l_comment
    from lineitem limit $1";
const NAMES: [&str; 16] = [
    "l_orderkey",
    "l_partkey",
    "l_suppkey",
    "l_linenumber",
    "l_quantity",
    "l_extendedprice",
    "l_discount",
    "l_tax",
    "l_returnflag",
    "l_linestatus",
    "l_shipdate",
    "l_commitdate",
    "l_receiptdate",
    "l_shipinstruct",
    "l_shipmode",
    "l_comment",
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [database, file, mode, rows] = words.as_slice() else { bail!("DATABASE FILE MODE ROWS") };
    let (client, connection) = tokio_postgres::connect(database, NoTls).await?;
    tokio::spawn(connection);
    let mut workbook = Workbook::new();
    let sheet = match mode.as_str() {
        "memory" => workbook.add_worksheet(),
        "constant_memory" => workbook.add_worksheet_with_constant_memory()?,
        other => bail!("there is no mode {other}"),
    };
    for (column, name) in (0..).zip(NAMES) {
        sheet.write_string(0, column, name)?;
    }
    let date = Format::new().set_num_format("yyyy-mm-dd");
    let limit: i64 = rows.parse().context("read the number of rows")?;
    let mut rows = pin!(client.query_raw(SQL, [limit]).await?);
    let mut number = 0;
    while let Some(row) = rows.try_next().await? {
        number += 1;
        write(sheet, number, &row, &date)?;
    }
    workbook.save(file)?;
    println!("{}", peak_megabytes()?);
    Ok(())
}

fn write(sheet: &mut Worksheet, number: u32, row: &Row, date: &Format) -> anyhow::Result<()> {
    for column in 0..4 {
        sheet.write_number(number, column, row.try_get::<_, i32>(usize::from(column))?)?;
    }
    for column in 4..8 {
        sheet.write_number(number, column, row.try_get::<_, f64>(usize::from(column))?)?;
    }
    for column in 10..13 {
        sheet.write_number_with_format(number, column, row.try_get::<_, i32>(usize::from(column))?, date)?;
    }
    for column in [8, 9, 13, 14, 15] {
        sheet.write_string(number, column, row.try_get::<_, &str>(usize::from(column))?)?;
    }
    Ok(())
}

fn peak_megabytes() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM in /proc/self/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0 / 1e6)
}
