//! The account that servers run as: PostgreSQL and RabbitMQ refuse to work for root.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::Command;

use anyhow::Context;

/// Whom a server runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
    /// This process has another account and must hand files over.
    other: bool,
}

impl Account {
    /// Chooses the caller's own account, or for root the first of `names` that exists.
    pub(crate) fn choose(names: &[&str]) -> anyhow::Result<Account> {
        let own = std::fs::metadata("/proc/self").context("read the account of this process from /proc")?;
        if own.uid() != 0 {
            return Ok(Account { uid: own.uid(), gid: own.gid(), other: false });
        }
        let accounts = std::fs::read_to_string("/etc/passwd").context("read /etc/passwd")?;
        names
            .iter()
            .find_map(|name| find(&accounts, name))
            .with_context(|| format!("servers must not run as root, and none of the accounts {names:?} exists"))
    }

    /// Makes a command run with this account.
    pub(crate) fn apply(self, command: &mut Command) {
        use std::os::unix::process::CommandExt;
        if self.other {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Hands a file or a whole folder over to this account.
    pub(crate) fn give(self, path: &Path) -> anyhow::Result<()> {
        if !self.other {
            return Ok(());
        }
        if path.is_dir() && !path.is_symlink() {
            for entry in std::fs::read_dir(path)? {
                self.give(&entry?.path())?;
            }
        }
        chown(path, Some(self.uid), Some(self.gid)).with_context(|| format!("hand over {}", path.display()))
    }

    /// Tells accounts apart in the names of cached files.
    pub(crate) fn id(self) -> u32 {
        self.uid
    }
}

fn find(accounts: &str, name: &str) -> Option<Account> {
    accounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [found, _, uid, gid, ..] = fields.as_slice() else { return None };
        let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
        (*found == name).then_some(Account { uid, gid, other: true })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let accounts = "root:x:0:0::/root:/bin/sh\npostgresx:x:7:7::/:/bin/sh\npostgres:x:101:104:,,,:/var:/bin/bash\n";
        assert_eq!(find(accounts, "postgres"), Some(Account { uid: 101, gid: 104, other: true }));
        assert_eq!(find(accounts, "nobody"), None);
    }
}
