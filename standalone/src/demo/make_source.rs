//! The demo source is made: under another name first, so that what stands under its own name is always whole.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rusqlite::Connection;
use tpchgen::distribution::Distributions;
use tpchgen::text::TextPool;

use super::write_rows;

/// About 300,000 line items.
const SCALE: f64 = 0.05;
/// Sentences for comments. The crate's own pool has 300 MB and would stay in memory.
const TEXT_BYTES: i32 = 4 << 20;

const INDEXES: &str = "
    create index customer_by_segment on customer (c_mktsegment);
    create index customer_by_nation on customer (c_nationkey);
    create index orders_by_customer on orders (o_custkey, o_orderdate);
    create index orders_by_date on orders (o_orderdate);
    create index orders_by_time on orders (o_placed_at);
    create index lineitem_by_ship_date on lineitem (l_shipdate);
    analyze;";

/// Returns where the demo source of a data folder is.
pub(crate) fn path_in(data_dir: &Path) -> PathBuf {
    data_dir.join("demo.sqlite")
}

/// Makes the demo source at `path`, unless it is there. `report_progress` hears of rows written, of rows to write.
///
/// # Errors
/// When the disk does not take it; nothing stands at `path` then.
pub(crate) fn make_demo_source(path: &Path, report_progress: &mut dyn FnMut(u64, u64)) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let making = path.with_extension("sqlite.making");
    match std::fs::remove_file(&making) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("remove {}", making.display()));
        }
        _ => {}
    }
    write(&making, report_progress).with_context(|| format!("write the demo data to {}", making.display()))?;
    let file = std::fs::File::open(&making)?;
    file.sync_all().context("write the demo data to disk")?;
    std::fs::rename(&making, path).with_context(|| format!("rename {} to {}", making.display(), path.display()))
}

fn write(path: &Path, report_progress: &mut dyn FnMut(u64, u64)) -> anyhow::Result<()> {
    let mut connection = Connection::open(path)?;
    // Nothing is lost when this dies half-way: the file is thrown away and made again.
    connection.execute_batch("pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -65536;")?;
    let texts = TextPool::new(TEXT_BYTES, Distributions::static_default());
    let transaction = connection.transaction()?;
    transaction.execute_batch(include_str!("tables.sql"))?;
    write_rows::TableWriter::new(&transaction, &texts, SCALE, report_progress).write_all()?;
    transaction.execute_batch(INDEXES)?;
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}
