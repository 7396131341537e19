//! A file is fetched: from where it broke off, and held against its receipt.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use reqwest::header::RANGE;
use reqwest::{Method, StatusCode};
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use super::{ClientError, GatewayClient, ReceiptResponse};

const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const OUTAGE_LIMIT: Duration = Duration::from_secs(120);
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// What has arrived of a file.
struct PartialFile {
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl GatewayClient {
    /// Fetches a file of a job to `out` and returns its receipt. What stands at `out` is replaced once the new file is whole and
    /// its SHA-256 is the receipt's.
    pub(crate) async fn download(&self, job_id: Uuid, format: &str, out: &Path) -> anyhow::Result<ReceiptResponse> {
        let path = format!("v1/jobs/{job_id}/artifacts/{format}");
        let receipt: ReceiptResponse = self.get(&format!("{path}/receipt")).await?;
        let partial = partial_name(out);
        let file = File::create(&partial).await.with_context(|| format!("write {}", partial.display()))?;
        let mut partial_file = PartialFile { file, hash: Sha256::new(), bytes: 0 };
        let fetched = self.fetch(&path, &receipt, &mut partial_file).await;
        let kept = match fetched {
            Ok(()) => keep(partial_file, &receipt, &partial, out).await,
            Err(error) => Err(error),
        };
        if kept.is_err() {
            // Half a file under another name helps nobody; that it cannot be removed is told by nobody either.
            let _gone = tokio::fs::remove_file(&partial).await;
        }
        kept.map(|()| receipt)
    }

    async fn fetch(&self, path: &str, receipt: &ReceiptResponse, partial_file: &mut PartialFile) -> anyhow::Result<()> {
        let mut last_heard = Instant::now();
        loop {
            let before = partial_file.bytes;
            match self.fetch_rest(path, partial_file).await? {
                Ok(()) if partial_file.bytes >= receipt.bytes => return Ok(()),
                Err(error) if !error.is_transient() => return Err(error.into()),
                outcome => {
                    if partial_file.bytes > before {
                        last_heard = Instant::now();
                    }
                    if last_heard.elapsed() > OUTAGE_LIMIT {
                        outcome?;
                        anyhow::bail!("the file breaks off after {} of {} bytes", partial_file.bytes, receipt.bytes);
                    }
                    tokio::time::sleep(RETRY_INTERVAL).await;
                }
            }
        }
    }

    /// Fetches what is missing. The outer error is the disk's, the inner one the network's.
    async fn fetch_rest(&self, path: &str, partial_file: &mut PartialFile) -> anyhow::Result<Result<(), ClientError>> {
        let mut call = self.call(Method::GET, path);
        if partial_file.bytes > 0 {
            call = call.header(RANGE, format!("bytes={}-", partial_file.bytes));
        }
        let mut answer = match self.send(call).await {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error)),
        };
        if partial_file.bytes > 0 && answer.status() != StatusCode::PARTIAL_CONTENT {
            partial_file.start_again().await?;
        }
        loop {
            match tokio::time::timeout(IDLE_TIMEOUT, answer.chunk()).await {
                Ok(Ok(Some(chunk))) => partial_file.take(&chunk).await?,
                Ok(Ok(None)) => return Ok(Ok(())),
                Ok(Err(error)) => return Ok(Err(self.unreachable(&error))),
                Err(_) => {
                    return Ok(Err(ClientError::Unreachable(self.address().to_owned(), "it fell silent".to_owned())));
                }
            }
        }
    }
}

impl PartialFile {
    async fn take(&mut self, chunk: &[u8]) -> anyhow::Result<()> {
        self.hash.update(chunk);
        self.bytes += chunk.len() as u64;
        self.file.write_all(chunk).await.context("write the file")
    }

    async fn start_again(&mut self) -> anyhow::Result<()> {
        use tokio::io::AsyncSeekExt as _;
        self.file.set_len(0).await.context("write the file")?;
        self.file.rewind().await.context("write the file")?;
        self.hash = Sha256::new();
        self.bytes = 0;
        Ok(())
    }
}

async fn keep(
    mut partial_file: PartialFile,
    receipt: &ReceiptResponse,
    partial: &Path,
    out: &Path,
) -> anyhow::Result<()> {
    let sha256 = hex::encode(partial_file.hash.finalize());
    ensure!(
        partial_file.bytes == receipt.bytes && sha256 == receipt.sha256,
        "the file that arrived is not the one of the receipt: {} bytes and SHA-256 {sha256}, but it should be {} bytes and {}; \
         it was not kept",
        partial_file.bytes,
        receipt.bytes,
        receipt.sha256
    );
    partial_file.file.flush().await.context("write the file")?;
    partial_file.file.sync_all().await.context("write the file to disk")?;
    tokio::fs::rename(partial, out).await.with_context(|| format!("rename the file to {}", out.display()))
}

fn partial_name(out: &Path) -> std::path::PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    out.with_file_name(name)
}
