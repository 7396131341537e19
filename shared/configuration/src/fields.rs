//! Asks a struct which settings it has, so that no list of them stands beside it.

use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// Names the fields that a struct is read from.
pub(super) fn fields<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut found: &'static [&'static str] = &[];
    // Never succeeds: nothing is there to be read.
    let _no_value = T::deserialize(FieldNames { found: &mut found }).is_ok();
    found
}

/// Names the settings of a tenant: how its mails look and read, its weight, and how much of it runs at once.
pub(super) fn tenant_fields() -> Vec<&'static str> {
    let mut names = fields::<super::Brand>().to_vec();
    names.extend([WEIGHT, MAX_RUNNING]);
    names
}

/// Settings that are beside the brand.
pub(super) const WEIGHT: &str = "weight";
pub(super) const MAX_RUNNING: &str = "max_running";

/// Names the variants that an enum is read from.
pub(super) fn variants<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    fields::<T>()
}

/// Takes down what a struct or an enum asks for.
struct FieldNames<'a> {
    found: &'a mut &'static [&'static str],
}

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        *self.found = fields;
        Err(Error::custom("only the names were asked for"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        *self.found = variants;
        Err(Error::custom("only the names were asked for"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("not a struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}
