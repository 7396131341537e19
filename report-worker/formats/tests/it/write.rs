//! Verbs to write files with.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use formats::{About, FileSummary, writer};
use model::artifact::Format;
use model::problem::Problem;

/// Writes batches as a file.
pub(crate) fn write(format: Format, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>, Problem> {
    write_about(&about(), format, schema, batches)
}

/// Writes batches as a file that says `about` of itself.
pub(crate) fn write_about(
    about: &Arc<About>,
    format: Format,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<Vec<u8>, Problem> {
    let (mut writer, mut out) = (writer(format, about), Vec::new());
    writer.begin(schema, &mut out)?;
    for batch in batches {
        writer.write(batch, &mut out)?;
    }
    let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    writer.finish(FileSummary { rows, complete: true }, &mut out)?;
    Ok(out)
}

/// Says nothing particular.
pub(crate) fn about() -> Arc<About> {
    Arc::new(About {
        title: "Test".to_owned(),
        report: "test".to_owned(),
        report_version: "sha256:0".to_owned(),
        ..About::default()
    })
}
