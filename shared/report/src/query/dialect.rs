//! The kinds of SQL there are, as far as they disagree on where a string, a name or a comment ends.

/// The lexical rules of a kind of database.
///
/// They are those of sessions as sources open them: in PostgreSQL backslashes are plain in `'…'`, in MySQL they escape and `"…"`
/// is a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL 9.6 and later.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
    /// SQLite 3.
    Sqlite,
}

impl Dialect {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Postgres, Self::Mysql, Self::Sqlite];
}
