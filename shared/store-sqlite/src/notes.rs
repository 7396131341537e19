//! What each migration says of itself. They are run from what is embedded; diesel keeps their texts to itself.

use store::MigrationNote;

/// Number and text, oldest first.
const TEXTS: [(&str, &str); 21] = [
    ("20260101000000", include_str!("../migrations/2026-01-01-000000_first/up.sql")),
    ("20260102000000", include_str!("../migrations/2026-01-02-000000_previews/up.sql")),
    ("20260201000000", include_str!("../migrations/2026-02-01-000000_reuse/up.sql")),
    ("20260202000000", include_str!("../migrations/2026-02-02-000000_arrivals/up.sql")),
    ("20260203000000", include_str!("../migrations/2026-02-03-000000_clicks/up.sql")),
    ("20260204000000", include_str!("../migrations/2026-02-04-000000_made_from/up.sql")),
    ("20260205000000", include_str!("../migrations/2026-02-05-000000_lateness/up.sql")),
    ("20260206000002", include_str!("../migrations/2026-02-06-000002_failed_deliveries/up.sql")),
    ("20260207000000", include_str!("../migrations/2026-02-07-000000_access/up.sql")),
    ("20260208000000", include_str!("../migrations/2026-02-08-000000_refusals/up.sql")),
    ("20260209000000", include_str!("../migrations/2026-02-09-000000_revoked_tokens/up.sql")),
    ("20260220000000", include_str!("../migrations/2026-02-20-000000_few_rows/up.sql")),
    ("20260301000000", include_str!("../migrations/2026-03-01-000000_turns/up.sql")),
    ("20260303000000", include_str!("../migrations/2026-03-03-000000_oidc/up.sql")),
    ("20260304000000", include_str!("../migrations/2026-03-04-000000_attributes/up.sql")),
    ("20260305000000", include_str!("../migrations/2026-03-05-000000_tenants/up.sql")),
    ("20260306000000", include_str!("../migrations/2026-03-06-000000_audit/up.sql")),
    ("20260307000000", include_str!("../migrations/2026-03-07-000000_removal/up.sql")),
    ("20260308000000", include_str!("../migrations/2026-03-08-000000_schedules/up.sql")),
    ("20260309000000", include_str!("../migrations/2026-03-09-000000_limits/up.sql")),
    ("20260311000000", include_str!("../migrations/2026-03-11-000000_catalogue_schedules/up.sql")),
];

/// Returns the note of every migration.
pub(super) fn all() -> Vec<MigrationNote> {
    TEXTS.iter().filter_map(|(version, text)| MigrationNote::read(version, text)).collect()
}

#[cfg(test)]
mod tests {
    use diesel::migration::{Migration, MigrationSource as _};
    use diesel::sqlite::Sqlite;

    use super::super::connect::MIGRATIONS;
    use super::*;

    #[test]
    fn every_migration_says_on_its_first_line_what_it_costs() {
        let embedded: Vec<Box<dyn Migration<Sqlite>>> = MIGRATIONS.migrations().unwrap();
        let mut embedded: Vec<String> = embedded.iter().map(|one| one.name().version().to_string()).collect();
        embedded.sort_unstable();
        let noted: Vec<String> = all().into_iter().map(|note| note.version).collect();
        let advice = "begin it with `-- Upgrade: light: …` or `-- Upgrade: heavy on <tables>: …`, and name it here";
        assert_eq!(noted, embedded, "{advice}");
    }
}
