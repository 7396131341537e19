//! The table that is read: TPC-H `lineitem` at scale 1, 6.0 million rows of 16 columns.

use std::io::Write as _;
use std::pin::pin;
use std::time::Instant;

use anyhow::Context as _;
use futures_util::SinkExt as _;
use tokio::sync::mpsc;
use tokio_postgres::NoTls;
use tpchgen::generators::LineItemGenerator;

use crate::figures::say;

/// Rows at scale 1.
pub(crate) const ROWS: i64 = 6_001_215;
/// Text is handed on in pieces of about this many bytes.
const PIECE: usize = 256 << 10;

/// Makes and fills the table, and leaves it as a server at rest would have it: hint bits set, statistics taken, pages written.
pub(crate) async fn load(database: &str) -> anyhow::Result<()> {
    let began = Instant::now();
    say("loading lineitem, 6.0 million rows");
    let (client, connection) = tokio_postgres::connect(database, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(include_str!("../../sql/lineitem.sql")).await?;
    let (pieces, mut made) = mpsc::channel(4);
    let making = tokio::task::spawn_blocking(move || make(&pieces));
    let copy = "copy lineitem from stdin (delimiter '|')";
    let mut sink = pin!(client.copy_in::<_, std::io::Cursor<Vec<u8>>>(copy).await?);
    let mut told = began;
    while let Some((rows, piece)) = made.recv().await {
        sink.send(std::io::Cursor::new(piece)).await?;
        if told.elapsed().as_secs() >= 5 {
            told = Instant::now();
            say(&format!("{rows} rows loaded after {:.0} s", began.elapsed().as_secs_f64()));
        }
    }
    making.await??;
    let rows = sink.finish().await?;
    anyhow::ensure!(rows == ROWS.unsigned_abs(), "{rows} rows were loaded in place of {ROWS}");
    client.batch_execute("vacuum (freeze, analyze) lineitem").await?;
    client.batch_execute("checkpoint").await?;
    say(&format!("{rows} rows loaded after {:.0} s", began.elapsed().as_secs_f64()));
    Ok(())
}

fn make(pieces: &mpsc::Sender<(usize, Vec<u8>)>) -> anyhow::Result<()> {
    let mut text = Vec::with_capacity(PIECE + 1024);
    for (row, item) in LineItemGenerator::new(1.0, 1, 1).iter().enumerate() {
        write!(text, "{item}")?;
        // Every field ends with a bar, the last one too; COPY wants bars between fields only.
        text.pop();
        text.push(b'\n');
        if text.len() >= PIECE {
            let piece = std::mem::replace(&mut text, Vec::with_capacity(PIECE + 1024));
            pieces.blocking_send((row + 1, piece)).context("hand rows to the database")?;
        }
    }
    pieces.blocking_send((0, text)).context("hand rows to the database")
}
