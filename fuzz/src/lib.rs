//! What strangers may send, given to the code that reads it first: catalogue files, parameters, rows of PostgreSQL.
//!
//! Each target takes any bytes. It must not panic, hang, or take memory out of proportion, and what it accepts must hold
//! together. `make fuzz` looks for bytes that break a target; the tests give the targets every file of `corpus/`.

use std::sync::LazyLock;

use model::job::Params;
use report::{Dialect, ReportDefinition, check_definition, parse_definition, validate_params};
use sources::decode_copy;

/// A report with a parameter of every type.
const EVERY_PARAMETER: &str = include_str!("every-parameter.toml");

/// Reads a catalogue file, and the query in it.
///
/// # Panics
/// When a fault names a line or a column that the file does not have, or a good definition does not read the same again.
pub fn catalogue(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match check_definition("fuzz", text) {
        Ok(definition) => {
            assert_eq!(definition.text, text);
            let again = parse_definition("fuzz", text).map(|again| again.version);
            assert_eq!(again.ok(), Some(definition.version.clone()));
            let _faults = validate_params(&definition, &Params::new());
            let good = Dialect::ALL.iter().any(|dialect| definition.query(*dialect).is_ok());
            assert!(good, "the query of a good definition can be read");
        }
        Err(faults) => {
            let lines: Vec<&str> = text.split('\n').collect();
            for fault in &faults {
                let length =
                    fault.line.checked_sub(1).and_then(|line| lines.get(line)).map(|line| line.chars().count());
                assert!(length.is_some_and(|length| (1..=length + 1).contains(&fault.column)), "{fault}");
            }
            assert!(!faults.is_empty(), "nothing is told of a file that is refused");
        }
    }
}

/// Checks parameters, as a submit brings them.
///
/// # Panics
/// When parameters that were accepted are not accepted again, or change.
pub fn params(data: &[u8]) {
    static DEFINITION: LazyLock<Option<ReportDefinition>> =
        LazyLock::new(|| parse_definition("fuzz", EVERY_PARAMETER).ok());
    let definition = DEFINITION.as_ref();
    assert!(definition.is_some(), "the definition is good");
    let Some(definition) = definition else { return };
    let Ok(given) = serde_json::from_slice::<Params>(data) else { return };
    if let Ok(valid) = validate_params(definition, &given) {
        assert_eq!(validate_params(definition, &valid).ok().as_ref(), Some(&valid), "of {given:?}");
    }
}

/// Reads the stream of a binary `COPY`. The first bytes choose the columns' types and the size of the pieces it comes in.
///
/// # Panics
/// When the arrays take memory out of proportion to the stream.
pub fn copy(data: &[u8]) {
    let Some(([columns, first, second, piece], stream)) = data.split_first_chunk() else { return };
    let kinds = [*first, *second];
    let kinds = &kinds[..1 + usize::from(columns % 2)];
    let Ok(bytes) = decode_copy(kinds, usize::from(*piece), stream) else { return };
    // A number of few bytes may have 131,072 digits before its point and 16,384 behind it.
    assert!(bytes <= (1 << 20) + stream.len() * 20_000, "{} bytes became {bytes}", stream.len());
}
