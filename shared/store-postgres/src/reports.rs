//! The definitions jobs were submitted with.

use diesel::{ExpressionMethods as _, OptionalExtension as _, QueryDsl as _};
use diesel_async::RunQueryDsl as _;
use futures_util::FutureExt as _;

use super::PostgresStore;
use store::Result;

diesel::table! {
    report_versions (version) {
        version -> Text,
        name -> Text,
        definition -> Text,
    }
}

impl PostgresStore {
    pub(super) async fn keep_report_version(&self, version: &str, name: &str, definition: &str) -> Result<()> {
        let row = (
            report_versions::version.eq(version.to_owned()),
            report_versions::name.eq(name.to_owned()),
            report_versions::definition.eq(definition.to_owned()),
        );
        self.read(move |connection| {
            async move {
                diesel::insert_into(report_versions::table)
                    .values(row)
                    .on_conflict_do_nothing()
                    .execute(connection)
                    .await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    pub(super) async fn read_report_version(&self, version: &str) -> Result<Option<(String, String)>> {
        let version = version.to_owned();
        self.read(move |connection| {
            async move {
                Ok(report_versions::table
                    .find(version)
                    .select((report_versions::name, report_versions::definition))
                    .first(connection)
                    .await
                    .optional()?)
            }
            .boxed()
        })
        .await
    }
}
