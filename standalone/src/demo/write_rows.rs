//! The rows of the demo source, table by table.

use rusqlite::{Connection, Statement, params};
use tpchgen::dates::TPCHDate;
use tpchgen::distribution::Distributions;
use tpchgen::generators::{
    Customer, CustomerGenerator, LineItem, LineItemGenerator, NationGenerator, Order, OrderGenerator, Part,
    PartGenerator, PartSupp, PartSuppGenerator, RegionGenerator, Supplier, SupplierGenerator,
};
use tpchgen::text::TextPool;

/// Rows between two words about progress.
const REPORT_EVERY: u64 = 2048;

/// Generates rows and writes them, telling of progress on the way.
pub(super) struct TableWriter<'a> {
    connection: &'a Connection,
    texts: &'a TextPool,
    words: &'a Distributions,
    scale: f64,
    done: u64,
    total: u64,
    report_progress: &'a mut dyn FnMut(u64, u64),
}

impl<'a> TableWriter<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        texts: &'a TextPool,
        scale: f64,
        report_progress: &'a mut dyn FnMut(u64, u64),
    ) -> Self {
        // An order has between 1 and 7 line items, on average 4.
        let orders = OrderGenerator::calculate_row_count(scale, 1, 1);
        let others = CustomerGenerator::calculate_row_count(scale, 1, 1)
            + SupplierGenerator::calculate_row_count(scale, 1, 1)
            + PartGenerator::calculate_row_count(scale, 1, 1) * 5;
        let total = u64::try_from(orders * 5 + others).unwrap_or(0);
        Self { connection, texts, words: Distributions::static_default(), scale, done: 0, total, report_progress }
    }

    pub(super) fn write_all(mut self) -> rusqlite::Result<()> {
        let (words, texts, scale) = (self.words, self.texts, self.scale);
        self.write_small_tables()?;
        self.write(
            CustomerGenerator::new_with_distributions_and_text_pool(scale, 1, 1, words, texts).iter(),
            "insert into customer values (?, ?, ?, ?, ?, ?, ?, ?)",
            customer,
        )?;
        self.write(
            SupplierGenerator::new_with_distributions_and_text_pool(scale, 1, 1, words, texts).iter(),
            "insert into supplier values (?, ?, ?, ?, ?, ?, ?)",
            supplier,
        )?;
        self.write(
            PartGenerator::new_with_distributions_and_text_pool(scale, 1, 1, words, texts).iter(),
            "insert into part values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            part,
        )?;
        self.write(
            PartSuppGenerator::new_with_text_pool(scale, 1, 1, texts).iter(),
            "insert into partsupp values (?, ?, ?, ?, ?)",
            part_supplier,
        )?;
        self.write(
            OrderGenerator::new_with_distributions_and_text_pool(scale, 1, 1, words, texts).iter(),
            "insert into orders values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            order,
        )?;
        self.write(
            LineItemGenerator::new_with_distributions_and_text_pool(scale, 1, 1, words, texts).iter(),
            "insert into lineitem values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            line_item,
        )?;
        (self.report_progress)(self.total, self.total);
        Ok(())
    }

    fn write_small_tables(&mut self) -> rusqlite::Result<()> {
        let (words, texts) = (self.words, self.texts);
        let regions = RegionGenerator::new_with_distributions_and_text_pool(words, texts);
        self.write(regions.iter(), "insert into region values (?, ?, ?)", |insert, row| {
            insert.execute(params![row.r_regionkey, row.r_name, row.r_comment])
        })?;
        let nations = NationGenerator::new_with_distributions_and_text_pool(words, texts);
        self.write(nations.iter(), "insert into nation values (?, ?, ?, ?)", |insert, row| {
            insert.execute(params![row.n_nationkey, row.n_name, row.n_regionkey, row.n_comment])
        })?;
        self.connection.execute_batch(
            "insert into tenant_nation
             select 'default', n_nationkey from nation
             union all
             select lower(replace(r_name, ' ', '-')), n_nationkey from nation join region on r_regionkey = n_regionkey",
        )
    }

    fn write<Row>(
        &mut self,
        rows: impl Iterator<Item = Row>,
        sql: &str,
        insert: impl Fn(&mut Statement<'_>, &Row) -> rusqlite::Result<usize>,
    ) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare(sql)?;
        for row in rows {
            insert(&mut statement, &row)?;
            self.done += 1;
            if self.done.is_multiple_of(REPORT_EVERY) {
                (self.report_progress)(self.done.min(self.total), self.total);
            }
        }
        Ok(())
    }
}

fn customer(insert: &mut Statement<'_>, row: &Customer<'_>) -> rusqlite::Result<usize> {
    insert.execute(params![
        row.c_custkey,
        row.c_name.to_string(),
        row.c_address.to_string(),
        row.c_nationkey,
        row.c_phone.to_string(),
        row.c_acctbal.as_f64(),
        row.c_mktsegment,
        row.c_comment,
    ])
}

fn supplier(insert: &mut Statement<'_>, row: &Supplier) -> rusqlite::Result<usize> {
    insert.execute(params![
        row.s_suppkey,
        row.s_name.to_string(),
        row.s_address.to_string(),
        row.s_nationkey,
        row.s_phone.to_string(),
        row.s_acctbal.as_f64(),
        row.s_comment,
    ])
}

fn part(insert: &mut Statement<'_>, row: &Part<'_>) -> rusqlite::Result<usize> {
    insert.execute(params![
        row.p_partkey,
        row.p_name.to_string(),
        row.p_mfgr.to_string(),
        row.p_brand.to_string(),
        row.p_type,
        row.p_size,
        row.p_container,
        row.p_retailprice.as_f64(),
        row.p_comment,
    ])
}

fn part_supplier(insert: &mut Statement<'_>, row: &PartSupp<'_>) -> rusqlite::Result<usize> {
    insert
        .execute(params![row.ps_partkey, row.ps_suppkey, row.ps_availqty, row.ps_supplycost.as_f64(), row.ps_comment,])
}

fn order(insert: &mut Statement<'_>, row: &Order<'_>) -> rusqlite::Result<usize> {
    insert.execute(params![
        row.o_orderkey,
        row.o_custkey,
        row.o_orderstatus.to_string(),
        row.o_totalprice.as_f64(),
        row.o_orderdate.to_string(),
        placed_at(row.o_orderdate, row.o_orderkey),
        row.o_orderpriority,
        row.o_clerk.to_string(),
        row.o_shippriority,
        row.o_comment,
    ])
}

/// Spreads orders over the working day, the same way each time.
fn placed_at(day: TPCHDate, order: i64) -> String {
    let second = 7 * 3600 + order.unsigned_abs().wrapping_mul(2_654_435_761) % (12 * 3600);
    format!("{day}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

fn line_item(insert: &mut Statement<'_>, row: &LineItem<'_>) -> rusqlite::Result<usize> {
    insert.execute(params![
        row.l_orderkey,
        row.l_linenumber,
        row.l_partkey,
        row.l_suppkey,
        row.l_quantity,
        row.l_extendedprice.as_f64(),
        row.l_discount.as_f64(),
        row.l_tax.as_f64(),
        row.l_returnflag,
        row.l_linestatus,
        row.l_shipdate.to_string(),
        row.l_commitdate.to_string(),
        row.l_receiptdate.to_string(),
        row.l_shipinstruct,
        row.l_shipmode,
        row.l_comment,
    ])
}
