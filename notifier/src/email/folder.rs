//! A folder of `.eml` files: what embedded mode sends to, and any mail program opens.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use model::finding::Findings;

use super::{MailTransport, OutgoingMail};
use crate::channel::SendError;

/// Writes each mail to `<delivery id>.eml`: a mail that is sent again is the same file again.
#[derive(Debug)]
pub struct FolderTransport {
    path: PathBuf,
    timeout: Duration,
}

impl FolderTransport {
    /// Opens the folder and makes it where it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: &Path, timeout: Duration) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("make the folder {} for mails", path.display()))?;
        Ok(Self { path: path.to_owned(), timeout })
    }
}

#[async_trait]
impl MailTransport for FolderTransport {
    async fn send(&self, mail: &OutgoingMail) -> Result<(), SendError> {
        let (folder, name, message) = (self.path.clone(), mail.id.to_string(), mail.message.clone());
        let writing = tokio::task::spawn_blocking(move || write_whole(&folder, &name, &message));
        let failed = |why: String| SendError::retry(format!("cannot write into the folder of mails: {why}"));
        tokio::time::timeout(self.timeout, writing)
            .await
            // The write goes on and may succeed yet.
            .map_err(|_| SendError::Unknown("the folder of mails did not answer in time".to_owned()))?
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))
    }

    async fn check(&self) -> Result<(), SendError> {
        let folder = self.path.clone();
        let looking = tokio::task::spawn_blocking(move || fs::read_dir(folder).map(drop));
        let failed = |why: String| SendError::retry(format!("cannot read the folder of mails: {why}"));
        tokio::time::timeout(self.timeout, looking)
            .await
            .map_err(|_| failed("it did not answer in time".to_owned()))?
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))
    }

    async fn diagnose(&self, findings: &mut Findings) {
        let folder = self.path.clone();
        let trial = folder.join(format!(".doctor.{}", uuid::Uuid::new_v4()));
        let writing =
            tokio::task::spawn_blocking(move || fs::write(&trial, "x").and_then(|()| fs::remove_file(&trial)));
        let shown = folder.display();
        match tokio::time::timeout(self.timeout, writing).await {
            Ok(Ok(Ok(()))) => findings.ok(format!("mails are kept in the folder {shown}, which can be written")),
            Ok(Ok(Err(error))) => findings.fail(
                format!("the folder of mails {shown} cannot be written: {error}"),
                "give it to the user of the service",
            ),
            Ok(Err(_)) | Err(_) => {
                findings.fail(format!("the folder of mails {shown} does not answer"), "look at its file system");
            }
        }
    }

    fn kind(&self) -> &'static str {
        "folder"
    }
}

/// Writes beside and renames, so that nobody ever sees half a mail.
fn write_whole(folder: &Path, name: &str, message: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(format!(".{name}.{}", uuid::Uuid::new_v4()));
    let written = File::create_new(&unfinished)
        .and_then(|mut file| file.write_all(message).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&unfinished, folder.join(format!("{name}.eml"))))
        .and_then(|()| File::open(folder)?.sync_all());
    if written.is_err() {
        // Gone already where only the last step failed.
        let _gone = fs::remove_file(&unfinished);
    }
    written
}
