//! What a Parquet file says of itself.

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use chrono::SecondsFormat;
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression, LogicalType, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::{SchemaDescriptor, Type};
use values::is_json;
use values::stored_columns::{ENTRY, LATE, spell_column};

use crate::About;

/// The first and the newest word of the source on its columns: types may come late.
#[derive(Debug)]
pub(super) struct SourceSchemas {
    pub(super) first: SchemaRef,
    pub(super) last: SchemaRef,
}

impl SourceSchemas {
    /// Says what the source's columns were, so that the rows can be read back as they came. A batch in which numbers are text, for a
    /// `NaN` among them, is never written here: a decimal column stays one.
    pub(super) fn spell(&self) -> Option<String> {
        let word = |(first, last): (&Arc<Field>, &Arc<Field>)| {
            let late = if first.data_type() == last.data_type() || !first.data_type().is_null() { "" } else { LATE };
            Some(format!("{late}{}", spell_column(last)?))
        };
        let words = self.first.fields().iter().zip(self.last.fields()).map(word).collect::<Option<Vec<_>>>()?;
        Some(serde_json::Value::from(words).to_string())
    }
}

/// Says of columns of JSON that they are. Arrow's own way of saying it is not compiled in.
pub(super) fn annotate(source: &Schema, written: &Schema) -> Result<SchemaDescriptor, ParquetError> {
    let plain = ArrowSchemaConverter::new().convert(written)?;
    let mut fields = plain.root_schema().get_fields().to_vec();
    for (field, described) in fields.iter_mut().zip(source.fields()) {
        if is_json(described) {
            let json = Type::primitive_type_builder(described.name(), parquet::basic::Type::BYTE_ARRAY)
                .with_repetition(parquet::basic::Repetition::OPTIONAL)
                .with_logical_type(Some(LogicalType::Json));
            *field = Arc::new(json.build()?);
        }
    }
    let root = Type::group_type_builder(plain.root_schema().name()).with_fields(fields).build()?;
    Ok(SchemaDescriptor::new(Arc::new(root)))
}

pub(super) fn properties(about: &About) -> Result<WriterPropertiesBuilder, ParquetError> {
    let params: serde_json::Map<_, _> =
        about.params.iter().map(|(label, value)| (label.clone(), value.clone().into())).collect();
    let entries = vec![
        entry("title", about.title.clone()),
        entry("report", about.report.clone()),
        entry("report_version", about.report_version.clone()),
        entry("job", about.job_id.to_string()),
        entry("params", serde_json::Value::Object(params).to_string()),
        entry("snapshot_at", about.snapshot_at.to_rfc3339_opts(SecondsFormat::Micros, true)),
    ];
    // Statistics a row group, not a page: readers skip by them, and what is kept of a page until the end would grow with the rows.
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(None)
        .set_key_value_metadata(Some(entries)))
}

pub(super) fn entry(key: &str, value: String) -> KeyValue {
    KeyValue::new(format!("{ENTRY}{key}"), value)
}
