//! How the schema of a database stands to the one that this build works with.

use model::finding::Findings;

/// What a migration costs while others work on the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationWeight {
    /// Nobody notices: new tables, nullable columns, indexes of what is still empty.
    Light,
    /// It reads or writes whole tables that may be large, and others wait for it.
    Heavy,
}

/// The note that every migration carries on its first line: `-- Upgrade: light: …` or `-- Upgrade: heavy on jobs, links: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationNote {
    /// The number of the migration.
    pub version: String,
    /// What it costs.
    pub weight: MigrationWeight,
    /// The tables that it goes through as a whole.
    pub tables: Vec<String>,
    /// What it does, in a few words.
    pub words: String,
}

impl MigrationNote {
    /// Reads the note of a migration's text. `None`: it has none that could be read.
    #[must_use]
    pub fn read(version: &str, text: &str) -> Option<Self> {
        let note = text.lines().next()?.strip_prefix("-- Upgrade: ")?;
        let (head, words) = note.split_once(": ")?;
        let (weight, tables) = match head.strip_prefix("heavy on ") {
            Some(tables) => (MigrationWeight::Heavy, tables.split(", ").map(str::to_owned).collect()),
            None if head == "light" => (MigrationWeight::Light, Vec::new()),
            None => return None,
        };
        Some(Self { version: version.to_owned(), weight, tables, words: words.to_owned() })
    }
}

/// A migration that a database lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingMigration {
    /// What it does and costs.
    pub note: MigrationNote,
    /// Rows of the tables that it goes through as a whole, as far as the database knows without counting.
    pub rows: u64,
}

/// What a database has run, seen from this build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaState {
    /// Nothing of ours is there yet.
    pub is_empty: bool,
    /// What this build would run, oldest first.
    pub pending: Vec<PendingMigration>,
    /// Numbers of migrations that this build does not know: a later one has run them.
    pub unknown: Vec<String>,
}

impl SchemaState {
    /// Notes how a schema stands, for databases that are migrated at start (`migrates`) or by hand.
    pub fn note(&self, migrates: bool, findings: &mut Findings) {
        let by_hand = "run `waitless migrate` before the services start, or set database.migrate = true";
        if !self.unknown.is_empty() {
            findings.warn(
                format!("its schema is newer than this version: it has run migration {}", self.unknown.join(", ")),
                "finish the rollout of the newer version; this one may run beside it, and no older one",
            );
        }
        match self.pending.len() {
            0 if self.unknown.is_empty() => findings.ok("its schema is that of this version"),
            0 => {}
            _ if migrates && self.is_empty => findings.ok("is empty: the first process makes the schema"),
            _ if self.is_empty => findings.fail("is empty: there is no schema", by_hand),
            lacks if migrates => findings.warn(
                format!("its schema is older than this version: {lacks} migrations run when a process starts"),
                "run `waitless upgrade-check` to see what they cost",
            ),
            lacks => {
                findings.fail(format!("its schema is older than this version: it lacks {lacks} migrations"), by_hand);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_what_a_migration_costs_and_which_tables_it_goes_through() {
        let note = MigrationNote::read("1", "-- Upgrade: heavy on jobs, links: builds indexes.\ncreate …").unwrap();
        assert_eq!((note.weight, note.words.as_str()), (MigrationWeight::Heavy, "builds indexes."));
        assert_eq!(note.tables, ["jobs", "links"]);
        let note = MigrationNote::read("2", "-- Upgrade: light: a new table.").unwrap();
        assert_eq!((note.weight, note.tables.len()), (MigrationWeight::Light, 0));
        for none in ["", "create table a ();", "-- Upgrade: soon: x", "-- Upgrade: light"] {
            assert_eq!(MigrationNote::read("3", none), None, "{none}");
        }
    }
}
