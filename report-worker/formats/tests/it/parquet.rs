//! Parquet, read back by the format's own reader.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, Date32Array, Int64Array, NullArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use formats::{FileSummary, writer};
use model::artifact::Format;
use model::problem::ProblemKind;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ConvertedType, LogicalType};
use parquet::file::metadata::ParquetMetaData;
use proptest::prelude::*;
use values::numeric_field;

use crate::rows::{any_row, batch, schema};
use crate::write::{about, write};

fn read_back(file: Vec<u8>) -> (Arc<ParquetMetaData>, SchemaRef, Vec<RecordBatch>) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
    let (metadata, schema) = (Arc::clone(reader.metadata()), Arc::clone(reader.schema()));
    let batches = reader.with_batch_size(1 << 20).build().unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    (metadata, schema, batches)
}

fn one_column(field: Field, values: ArrayRef) -> RecordBatch {
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![values]).unwrap()
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn rows_of_every_type_come_back(rows in proptest::collection::vec(any_row(), 1..40)) {
        let written = batch(&rows);
        let (_, schema, batches) = read_back(write(Format::Parquet, &written.schema(), std::slice::from_ref(&written)).unwrap());
        prop_assert_eq!(batches.len(), 1);
        prop_assert_eq!(schema.field(6).data_type(), &DataType::Decimal128(20, 6));
        prop_assert_eq!(schema.field(10).data_type(), &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
        for (index, (read, written)) in batches[0].columns().iter().zip(written.columns()).enumerate() {
            if index == 6 {
                let decimals = read.as_primitive::<arrow_array::types::Decimal128Type>();
                for (row, expected) in rows.iter().enumerate() {
                    let text = (!decimals.is_null(row)).then(|| decimals.value_as_string(row));
                    let expected = expected.numeric.clone().map(|text| if text == "-0.000000" { "0.000000".to_owned() } else { text });
                    prop_assert_eq!(text, expected);
                }
            } else {
                prop_assert_eq!(read, written);
            }
        }
    }
}

#[test]
fn columns_say_what_they_are_and_the_file_says_where_it_is_from() {
    let (metadata, ..) = read_back(write(Format::Parquet, &schema(), &[batch(&[])]).unwrap());
    let columns = metadata.file_metadata().schema_descr();
    let kinds: Vec<_> = columns.columns().iter().map(|column| column.logical_type_ref().cloned()).collect();
    assert_eq!(kinds[6], Some(LogicalType::decimal(6, 20)));
    assert_eq!((kinds[7].clone(), kinds[8].clone()), (Some(LogicalType::String), Some(LogicalType::Date)));
    assert_eq!(kinds[11], Some(LogicalType::Json));
    assert_eq!(columns.column(11).converted_type(), ConvertedType::JSON);
    let said = metadata.file_metadata().key_value_metadata().unwrap();
    let value = |key: &str| said.iter().find(|entry| entry.key == key).and_then(|entry| entry.value.clone()).unwrap();
    assert_eq!((value("waitless.report"), value("waitless.rows")), ("test".to_owned(), "0".to_owned()));
    assert_eq!((value("waitless.complete"), value("waitless.params")), ("true".to_owned(), "{}".to_owned()));
    assert_eq!(value("waitless.snapshot_at"), "1970-01-01T00:00:00.000000Z");
}

#[test]
fn numbers_of_any_length_are_decimals_where_their_size_is_known_and_text_where_not() {
    let long = "9".repeat(60);
    for (size, expected) in [
        (Some((9, 2)), DataType::Decimal128(9, 2)),
        (Some((38, 10)), DataType::Decimal128(38, 10)),
        (Some((60, 0)), DataType::Decimal256(60, 0)),
        (Some((4, 4)), DataType::Decimal128(4, 4)),
        (Some((100, 0)), DataType::Utf8),
        (None, DataType::Utf8),
    ] {
        let value = match size {
            Some((60 | 100, _)) | None => long.as_str(),
            Some((4, 4)) => "0.0099",
            _ => "100",
        };
        let written = one_column(numeric_field("n", size), texts(&[Some(value), None]));
        let (_, schema, batches) =
            read_back(write(Format::Parquet, &written.schema(), std::slice::from_ref(&written)).unwrap());
        assert_eq!(schema.field(0).data_type(), &expected);
        assert!(batches[0].column(0).is_null(1));
        if expected == DataType::Decimal256(60, 0) {
            let read = batches[0].column(0).as_primitive::<arrow_array::types::Decimal256Type>();
            assert_eq!(read.value_as_string(0), long);
        }
    }
}

#[test]
fn a_value_that_is_no_decimal_is_told_and_not_rounded() {
    for value in ["NaN", "1.005", "1000"] {
        let written = one_column(numeric_field("price", Some((5, 2))), texts(&[Some(value)]));
        let problem = write(Format::Parquet, &written.schema(), std::slice::from_ref(&written)).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::UnsupportedColumn);
        assert!(problem.detail.contains("`price`") && problem.detail.contains(value), "{}", problem.detail);
    }
}

#[test]
fn a_date_without_end_is_told_and_not_written_as_a_day_far_off() {
    let days = Arc::new(Date32Array::from(vec![Some(0), Some(i32::MAX)]));
    let written = one_column(Field::new("until", DataType::Date32, true), days);
    let problem = write(Format::Parquet, &written.schema(), std::slice::from_ref(&written)).unwrap_err();
    assert!(problem.detail.contains("`until` holds infinity in row 2"), "{}", problem.detail);
    assert!(problem.detail.contains("nullif(until, 'infinity') as until"), "{}", problem.detail);
}

#[test]
fn a_column_of_which_the_type_comes_late_is_text_from_the_start() {
    let untyped = one_column(Field::new("late", DataType::Null, true), Arc::new(NullArray::new(3)));
    let numbers = one_column(numeric_field("late", None), texts(&[Some("1.50"), None]));
    let integers = one_column(Field::new("late", DataType::Int64, true), Arc::new(Int64Array::from(vec![7])));
    let file = write(Format::Parquet, &untyped.schema(), &[untyped.clone(), numbers, integers, untyped]).unwrap();
    let (_, schema, batches) = read_back(file);
    assert_eq!(schema.field(0).data_type(), &DataType::Utf8);
    let read: Vec<_> = batches[0].column(0).as_string::<i32>().iter().collect();
    assert_eq!(read, [None, None, None, Some("1.50"), None, Some("7"), None, None, None]);
}

#[test]
fn two_columns_of_one_name_are_refused() {
    let field = || Field::new("n", DataType::Int64, true);
    let problem = write(Format::Parquet, &Arc::new(Schema::new(vec![field(), field()])), &[]).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::UnsupportedColumn);
    assert!(problem.detail.contains("two columns are named `n`"), "{}", problem.detail);
}

#[test]
fn row_groups_end_before_they_take_much_memory() {
    // Digits of a multiplicative sequence: hard to compress, so that bytes and not rows end the groups.
    let text = |row: u64| {
        (0..8)
            .map(|step| format!("{:016x}", (row * 8 + step + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect::<String>()
    };
    let field = Field::new("noise", DataType::Utf8, true);
    let schema = Arc::new(Schema::new(vec![field.clone()]));
    let (mut writer, mut out, mut largest, mut file) = (writer(Format::Parquet, &about()), Vec::new(), 0, Vec::new());
    writer.begin(&schema, &mut out).unwrap();
    let batches = 100;
    for number in 0..batches {
        let values = StringArray::from_iter_values((0..4096).map(|row| text(number * 4096 + row)));
        writer.write(&one_column(field.clone(), Arc::new(values)), &mut out).unwrap();
        largest = largest.max(out.len());
        file.append(&mut out);
    }
    writer.finish(FileSummary { rows: batches * 4096, complete: false }, &mut out).unwrap();
    file.append(&mut out);
    let (metadata, _, read) = read_back(file);
    assert_eq!(read.iter().map(|batch| batch.num_rows() as u64).sum::<u64>(), batches * 4096);
    assert!(metadata.num_row_groups() > 1, "{}", metadata.num_row_groups());
    for group in metadata.row_groups() {
        let column = group.column(0);
        assert!(matches!(column.compression(), Compression::ZSTD(_)), "{:?}", column.compression());
        assert!(
            column.statistics().is_some_and(|said| said.min_bytes_opt().is_some() && said.max_bytes_opt().is_some())
        );
    }
    assert!(largest < 16 << 20, "{largest} bytes at once");
    let said = metadata.file_metadata().key_value_metadata().unwrap();
    assert!(said.iter().any(|entry| entry.key == "waitless.complete" && entry.value.as_deref() == Some("false")));
}

#[test]
fn sixteen_hundred_columns_are_written() {
    let fields: Vec<Field> =
        (0..1600).map(|index| Field::new(format!("column_{index}"), DataType::Int64, true)).collect();
    let columns = (0..1600).map(|index| Arc::new(Int64Array::from(vec![index, index + 1])) as ArrayRef).collect();
    let written = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let (_, _, batches) = read_back(write(Format::Parquet, &written.schema(), std::slice::from_ref(&written)).unwrap());
    assert_eq!(batches[0].column(1599).as_primitive::<arrow_array::types::Int64Type>().values().as_ref(), [1599, 1600]);
}
