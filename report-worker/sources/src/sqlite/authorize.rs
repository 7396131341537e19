//! What a statement of a report may do: read. SQLite asks while it prepares, before a pragma is carried out.

use rusqlite::hooks::{AuthAction, Authorization};

/// Pragmas that tell, whatever is given to them.
const TELLING: &[&str] = &[
    "collation_list",
    "compile_options",
    "database_list",
    "foreign_key_check",
    "foreign_key_list",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "module_list",
    "pragma_list",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];
/// Pragmas that tell when nothing is given to them, and set something otherwise.
const TELLING_ALONE: &[&str] = &[
    "application_id",
    "auto_vacuum",
    // Asked for by full-text tables.
    "data_version",
    "encoding",
    "freelist_count",
    "journal_mode",
    "page_count",
    "page_size",
    "schema_version",
    "user_version",
];
/// How tables begin that are pragmas.
const PRAGMA: &str = "pragma_";
/// Functions that do more than compute.
const FORBIDDEN: &[&str] = &["edit", "fts3_tokenizer", "load_extension", "readfile", "writefile"];

/// Allows what a read needs. Everything else is refused: some settings are those of the whole process (`hard_heap_limit`), others
/// would stay with the connection.
pub(super) fn authorize(action: &AuthAction<'_>) -> Authorization {
    let is_among = |names: &[&str], name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let tells = |name: &str| is_among(TELLING, name) || is_among(TELLING_ALONE, name);
    let allowed = match *action {
        AuthAction::Select
        | AuthAction::Recursive
        // Each read's own transaction. Of a report it is no query, and is not run.
        | AuthAction::Transaction { .. }
        // R*Tree and full-text tables prepare their writers when they are opened. That none of these runs is seen to by
        // `query_only`, by the file that is opened for reading, and by looking at the report's statement itself.
        | AuthAction::Insert { .. }
        | AuthAction::Update { .. }
        | AuthAction::Delete { .. } => true,
        // The table `pragma_x` runs the pragma `x`, but not before it is read.
        AuthAction::Read { table_name, .. } => match table_name.split_at_checked(PRAGMA.len()) {
            Some((start, name)) if start.eq_ignore_ascii_case(PRAGMA) => tells(name),
            _ => true,
        },
        AuthAction::Function { function_name } => !is_among(FORBIDDEN, function_name),
        AuthAction::Pragma { pragma_name, pragma_value: None } => tells(pragma_name),
        AuthAction::Pragma { pragma_name, .. } => is_among(TELLING, pragma_name),
        _ => false,
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}
