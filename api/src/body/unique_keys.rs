//! A key that stands twice in one object of a JSON body: which of its values counts is anybody's guess (RFC 8259), so that whoever
//! checked the body on the way may have read another one. Such a body is refused.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use model::problem::pointer_part;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Returns the JSON pointer of the first key that comes a second time in its object, at any depth. `None` also where the text is no
/// JSON: whoever reads it says so.
pub(super) fn find_repeated(json: &[u8]) -> Option<String> {
    let found = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(json);
    // Fails when something was found, or where the text is no JSON.
    drop(UniqueKeys { at: Step::Root, found: &found }.deserialize(&mut reader));
    found.into_inner()
}

/// Where in the text, as a chain up to its root.
#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Key(&'a Step<'a>, &'a str),
    Item(&'a Step<'a>, usize),
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(above, name) => write!(f, "{above}/{}", pointer_part(name)),
            Self::Item(above, index) => write!(f, "{above}/{index}"),
        }
    }
}

/// Reads one value and keeps nothing of it.
struct UniqueKeys<'a> {
    at: Step<'a>,
    found: &'a Cell<Option<String>>,
}

impl<'de> DeserializeSeed<'de> for UniqueKeys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let at = Step::Key(&self.at, &key);
            if seen.contains(&key) {
                self.found.set(Some(at.to_string()));
                return Err(A::Error::custom("a key stands twice"));
            }
            map.next_value_seed(UniqueKeys { at, found: self.found })?;
            seen.insert(key);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0;
        while items.next_element_seed(UniqueKeys { at: Step::Item(&self.at, index), found: self.found })?.is_some() {
            index += 1;
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_found_at_every_depth() {
        for (json, pointer) in [
            (r#"{"a": 1, "a": 1}"#, Some("/a")),
            (r#"{"a": 1, "\u0061": 2}"#, Some("/a")),
            (r#"{"params": {"day": 1, "x": [1, {"d/~": {}, "d/~": 3}]}}"#, Some("/params/x/1/d~1~0")),
            (r#"[[{"": 1, "": 2}]]"#, Some("/0/0/")),
            (r#"{"a": {"b": 1}, "b": {"a": 1}, "c": [{"a": 1}, {"a": 1}]}"#, None),
            (r#"{"a": null, "A": [true, -1, 1, 1.5e300, 123456789012345678901234567890, "text"]}"#, None),
            (r#"{"a": 1, "#, None),
            ("", None),
        ] {
            assert_eq!(find_repeated(json.as_bytes()).as_deref(), pointer, "{json}");
        }
    }
}
