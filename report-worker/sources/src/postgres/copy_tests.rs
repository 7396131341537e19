use bytes::Bytes;
use proptest::prelude::*;
use tokio_postgres::types::Type;

use super::Decoder;
use crate::postgres::column::Column;
use crate::postgres::fuzz::KINDS;

fn columns(kinds: &[Type]) -> Vec<Column> {
    kinds.iter().map(|kind| Column::new("c", kind, -1).unwrap()).collect()
}

fn head() -> Vec<u8> {
    let mut stream = b"PGCOPY\n\xff\r\n\0".to_vec();
    stream.extend_from_slice(&[0; 8]);
    stream
}

fn write_row(stream: &mut Vec<u8>, fields: &[Option<Vec<u8>>]) {
    stream.extend_from_slice(&i16::try_from(fields.len()).unwrap().to_be_bytes());
    for field in fields {
        match field {
            None => stream.extend_from_slice(&(-1_i32).to_be_bytes()),
            Some(bytes) => {
                stream.extend_from_slice(&i32::try_from(bytes.len()).unwrap().to_be_bytes());
                stream.extend_from_slice(bytes);
            }
        }
    }
}

/// Reads a stream that comes in pieces, to its end: the number of rows, and their columns as arrays.
fn read(stream: &[u8], piece: usize, kinds: &[Type]) -> Result<(usize, Vec<arrow_array::ArrayRef>), String> {
    let (mut decoder, mut columns, mut rows) = (Decoder::new(), columns(kinds), 0);
    for piece in stream.chunks(piece.max(1)) {
        decoder.feed(Bytes::copy_from_slice(piece));
        while decoder.row(&mut columns).map_err(|problem| problem.detail)?.is_some() {
            rows += 1;
        }
    }
    decoder.end().map_err(|problem| problem.detail)?;
    let arrays = columns.iter_mut().map(Column::take).collect::<Result<_, _>>().map_err(|problem| problem.detail)?;
    Ok((rows, arrays))
}

/// Fields that have about the right length for their type, and random bytes.
fn field() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop::option::of(prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::sample::select(&[1_usize, 2, 4, 8, 12, 16, 20, 24, 28][..])
            .prop_flat_map(|length| prop::collection::vec(any::<u8>(), length)),
        // What lists and decimals look like: small numbers in wide fields.
        prop::collection::vec(0_u8..4, 0..48).prop_map(|small| small.iter().flat_map(|n| [0, *n]).collect()),
        prop::collection::vec(0_u8..3, 0..24).prop_map(|small| small.iter().flat_map(|n| [0, 0, 0, *n]).collect()),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(kind in prop::sample::select(KINDS), bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1_usize..64) {
        let mut stream = head();
        stream.extend_from_slice(&bytes);
        let _any = read(&stream, piece, std::slice::from_ref(&kind));
        let _any = read(&bytes, piece, &[kind]);
    }

    #[test]
    fn random_values_never_panic(kind in prop::sample::select(KINDS), values in prop::collection::vec(field(), 1..8)) {
        let mut stream = head();
        for value in &values {
            write_row(&mut stream, std::slice::from_ref(value));
        }
        stream.extend_from_slice(&(-1_i16).to_be_bytes());
        if let Ok((rows, arrays)) = read(&stream, stream.len(), &[kind]) {
            prop_assert_eq!(rows, values.len());
            prop_assert_eq!(arrays[0].len(), values.len());
        }
    }

    #[test]
    fn rows_may_be_cut_anywhere_and_are_never_complete_before_the_end(
        texts in prop::collection::vec(prop::collection::vec(prop::option::of("[a-zö]{0,9}"), 3), 0..12),
        piece in 1_usize..40,
    ) {
        let kinds = [Type::TEXT, Type::VARCHAR, Type::NAME];
        let mut stream = head();
        for row in &texts {
            let fields: Vec<_> = row.iter().map(|text| text.as_ref().map(|text| text.as_bytes().to_vec())).collect();
            write_row(&mut stream, &fields);
        }
        stream.extend_from_slice(&(-1_i16).to_be_bytes());
        let (rows, arrays) = read(&stream, piece, &kinds).unwrap();
        prop_assert_eq!(rows, texts.len());
        for (index, array) in arrays.iter().enumerate() {
            let array = arrow_array::cast::AsArray::as_string::<i32>(array);
            let found: Vec<_> = array.iter().map(|text| text.map(str::to_owned)).collect();
            let given: Vec<_> = texts.iter().map(|row| row[index].clone()).collect();
            prop_assert_eq!(found, given);
        }
        for end in 0..stream.len() {
            prop_assert!(read(&stream[..end], piece, &kinds).is_err(), "complete at byte {} of {}", end, stream.len());
        }
        stream.push(0);
        prop_assert!(read(&stream, piece, &kinds).is_err());
    }
}

#[test]
fn a_list_that_says_more_than_it_holds_takes_no_memory() {
    // Two thousand million empty lists, and 64 million elements in no bytes.
    for lengths in [[i32::MAX, 0], [8192, 8192]] {
        let mut list = Vec::new();
        for word in [2, 0, 23, lengths[0], 1, lengths[1], 1] {
            list.extend_from_slice(&i32::to_be_bytes(word));
        }
        let mut stream = head();
        write_row(&mut stream, &[Some(list)]);
        assert!(read(&stream, stream.len(), &[Type::INT4_ARRAY]).is_err());
    }
}

#[test]
fn text_that_is_not_utf_8_names_its_column() {
    let mut stream = head();
    write_row(&mut stream, &[Some(b"\xc3".to_vec())]);
    write_row(&mut stream, &[Some(b"\xb6".to_vec())]);
    stream.extend_from_slice(&(-1_i16).to_be_bytes());
    assert!(read(&stream, 7, &[Type::TEXT]).unwrap_err().contains("`c`"));
}
