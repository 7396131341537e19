//! The decoder as fuzzing sees it: bytes in, memory out.

use bytes::Bytes;
use model::problem::Problem;
use tokio_postgres::types::Type;

use super::column::Column;
use super::copy::Decoder;

/// Every type with a wire form of its own, and lists of some.
pub(super) const KINDS: &[Type] = &[
    Type::BOOL,
    Type::INT2,
    Type::INT4,
    Type::INT8,
    Type::OID,
    Type::FLOAT4,
    Type::FLOAT8,
    Type::NUMERIC,
    Type::TEXT,
    Type::JSON,
    Type::JSONB,
    Type::UUID,
    Type::BYTEA,
    Type::DATE,
    Type::TIME,
    Type::TIMETZ,
    Type::TIMESTAMP,
    Type::TIMESTAMPTZ,
    Type::INTERVAL,
    Type::INT4_ARRAY,
    Type::NUMERIC_ARRAY,
    Type::TEXT_ARRAY,
    Type::JSONB_ARRAY,
    Type::DATE_ARRAY,
];

/// Decodes a binary `COPY` of columns of these types (by number, in a circle), which comes in pieces. Returns the bytes of the
/// arrays.
///
/// # Errors
/// What the decoder says of the stream.
pub fn decode_copy(kinds: &[u8], piece: usize, stream: &[u8]) -> Result<usize, Problem> {
    let kinds = kinds.iter().filter_map(|kind| KINDS.get(usize::from(*kind) % KINDS.len()));
    let mut columns = kinds.map(|kind| Column::new("c", kind, -1)).collect::<Result<Vec<_>, _>>()?;
    let mut decoder = Decoder::new();
    for chunk in stream.chunks(piece.max(1)) {
        decoder.feed(Bytes::copy_from_slice(chunk));
        while decoder.row(&mut columns)?.is_some() {}
    }
    decoder.end()?;
    let mut bytes = 0;
    for column in &mut columns {
        bytes += column.take()?.get_array_memory_size();
    }
    Ok(bytes)
}
