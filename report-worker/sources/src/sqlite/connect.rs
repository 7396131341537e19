//! Connections to one SQLite file, kept for the next read as long as the file is the same.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::problem::Problem;
use rusqlite::hooks::AuthContext;
use rusqlite::{Connection, OpenFlags};

use super::authorize::authorize;
use super::url::FileOptions;
use super::{error, moment};
use crate::idle_connections::IdleConnections;

/// A writer of the same file may hold a read up for this long.
pub(super) const BUSY: Duration = Duration::from_secs(5);
/// How often a file may be replaced while it is opened.
const OPEN_AT_MOST: usize = 5;

/// The connections to one file.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) file: FileOptions,
    /// Whether it is one tenant's, who may have none.
    is_of_tenant: bool,
    idle: IdleConnections<OpenDatabase>,
}

/// A connection, and the file as it was when it was opened.
#[derive(Debug)]
pub(super) struct OpenDatabase {
    pub(super) connection: Connection,
    opened: FileIdentity,
}

/// What tells one file from another of the same name. A file that is written over in place keeps its number, and two exports may
/// have the same counters inside, so that SQLite takes its own cache for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileIdentity {
    main: FileVersion,
    /// Number of the file beside it with changes not yet in it, and of the one with their index.
    beside: [Option<(u64, u64)>; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileVersion {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileIdentity {
    fn of(path: &Path) -> std::io::Result<Self> {
        let main = FileVersion::of(&std::fs::metadata(path)?);
        let beside = ["-wal", "-shm"].map(|ending| {
            let found = std::fs::metadata(with_ending(path, ending)).ok()?;
            Some((found.dev(), found.ino()))
        });
        Ok(Self { main, beside })
    }

    /// Tells whether a connection to the file as it was then reads the file as it is `now`. The files beside it may have come since,
    /// but not have gone or become others.
    fn is_still(self, now: Self) -> bool {
        self.main == now.main
            && self.beside.iter().zip(now.beside).all(|(then, now)| then.is_none_or(|then| now == Some(then)))
    }
}

impl FileVersion {
    fn is_same_file(self, other: Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            bytes: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

impl Pool {
    pub(super) fn new(file: FileOptions, is_of_tenant: bool) -> Self {
        Self { file, is_of_tenant, idle: IdleConnections::default() }
    }

    /// Returns a kept connection to the file that is there now, or a new one.
    pub(super) fn take(&self) -> Result<OpenDatabase, Problem> {
        let unreadable = |why: std::io::Error| match why.kind() {
            std::io::ErrorKind::NotFound if self.is_of_tenant => error::no_file_of_tenant(&self.file.path),
            _ => error::no_file(&self.file.path, &why),
        };
        let mut before = FileIdentity::of(&self.file.path).map_err(unreadable)?;
        while let Some(kept) = self.idle.take() {
            if kept.opened.is_still(before) {
                return Ok(kept);
            }
        }
        for _ in 0..OPEN_AT_MOST {
            let connection = self.connect().map_err(|error| error::to_problem(&error, &[], &self.file.path))?;
            let after = FileIdentity::of(&self.file.path).map_err(unreadable)?;
            // Nothing was read yet: what was written to the file meanwhile will be.
            if before.main.is_same_file(after.main) {
                return Ok(OpenDatabase { connection, opened: after });
            }
            before = after;
        }
        Err(error::changing(&self.file.path))
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let path = &self.file.path;
        let connection = if self.file.immutable {
            Connection::open_with_flags(immutable_uri(path), flags | OpenFlags::SQLITE_OPEN_URI)?
        } else {
            Connection::open_with_flags(path, flags)?
        };
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.create_collation(moment::COLLATION, moment::compare)?;
        connection.authorizer(Some(|asked: AuthContext<'_>| authorize(&asked.action)))?;
        Ok(connection)
    }

    /// Keeps a connection for the next read, if it still reads the file that is there.
    pub(super) fn give_back(&self, mut file: OpenDatabase) {
        let quiet = file.connection.progress_handler(0, None::<fn() -> bool>).is_ok();
        let Ok(now) = FileIdentity::of(&self.file.path) else { return };
        if quiet && file.connection.is_autocommit() && file.opened.is_still(now) {
            file.opened = now;
            self.idle.keep(file);
        }
    }
}

/// Returns the path of a file that stands beside another one.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Writes a path as a URI that says that nobody writes to the file.
fn immutable_uri(path: &Path) -> String {
    use std::fmt::Write as _;

    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri.push_str("?immutable=1");
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_uri_whatever_is_in_it() {
        assert_eq!(immutable_uri(Path::new("/d/a b?#%ö.db")), "file:/d/a%20b%3F%23%25%C3%B6.db?immutable=1");
    }
}
