// Over 300 lines: one short reader a kind of value.
//! How each kind of setting is written in a file or a variable, and read from there. Scalars arrive as texts, whatever they
//! were in the file: a variable can be nothing else.

use std::borrow::Cow;
use std::fmt::Display;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _, IntoDeserializer as _};
use serde::{Deserialize, Deserializer, Serializer};
use serde_json::Value;
use url::Url;

use super::fields::variants;
use super::{Network, Secret, Secrets};
use model::job::Lane;
use model::units::{ByteSize, parse_duration};

/// Writes a duration as [`parse_duration`] reads it.
fn spell_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

/// A time that passes, never zero.
pub(super) mod duration {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Duration, parse_duration, spell_duration};

    /// Clocks end somewhere; what is added to one must not lead beyond it.
    const LONGEST: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&spell_duration(*duration))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        match parse_duration(&String::deserialize(from)?) {
            Ok(duration) if duration > LONGEST => Err(D::Error::custom("is too long; at most 3650d make sense")),
            Ok(duration) if !duration.is_zero() => Ok(duration),
            Ok(_) => Err(D::Error::custom("must be longer than zero")),
            Err(message) => Err(D::Error::custom(message)),
        }
    }
}

/// A time, or `0`: there is none.
pub(super) mod duration_or_none {
    use serde::de::value::StringDeserializer;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Duration, duration, spell_duration};

    #[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub(crate) fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&duration.map_or_else(|| "0".to_owned(), spell_duration))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        let text = String::deserialize(from)?;
        if text.trim() == "0" {
            return Ok(None);
        }
        duration::deserialize(StringDeserializer::new(text)).map(Some)
    }
}

/// A value that may be missing: an empty text.
pub(super) mod optional {
    use serde::de::value::StringDeserializer;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
    pub(crate) fn serialize<S: Serializer, T: Serialize>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(to),
            None => to.serialize_str(""),
        }
    }

    pub(crate) fn deserialize<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: Deserialize<'de>,
    {
        let text = String::deserialize(from)?;
        if text.is_empty() { Ok(None) } else { T::deserialize(StringDeserializer::new(text)).map(Some) }
    }
}

/// Retry delays: a list of durations.
pub(super) mod backoff {
    use serde::de::Error as _;
    use serde::{Deserializer, Serializer};

    use super::{parse_duration, spell_duration, texts};
    use model::retry_schedule::RetrySchedule;

    pub(crate) fn serialize<S: Serializer>(backoff: &RetrySchedule, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(backoff.delays().iter().copied().map(spell_duration))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<RetrySchedule, D::Error> {
        let delays: Result<Vec<_>, _> = texts(from)?.iter().map(|text| parse_duration(text)).collect();
        if delays.as_ref().is_ok_and(|delays| !delays.is_sorted()) {
            return Err(D::Error::custom("are not in order; list them shortest first"));
        }
        delays.and_then(|delays| RetrySchedule::new(delays).map_err(str::to_owned)).map_err(D::Error::custom)
    }
}

/// Reads a whole number that is not below `LEAST`.
pub(super) fn at_least<'de, const LEAST: u8, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr + PartialOrd + From<u8>,
{
    let text = String::deserialize(from)?;
    match text.parse::<T>() {
        Ok(number) if number >= T::from(LEAST) => Ok(number),
        Ok(_) => Err(D::Error::custom(format!("`{text}` is too small; at least {LEAST} is needed"))),
        Err(_) => {
            Err(D::Error::custom(format!("`{text}` is not a whole number, or too large; write one from {LEAST} on")))
        }
    }
}

/// Reads a whole number that is not above `MOST`.
pub(super) fn at_most<'de, const MOST: u32, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let number = at_least::<0, _, u32>(from)?;
    if number > MOST {
        return Err(D::Error::custom(format!("`{number}` is too large; at most {MOST} can be counted")));
    }
    Ok(number)
}

/// Reads `true` or `false`, also as people write them in variables.
pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    let text = String::deserialize(from)?;
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Ok(true),
        "false" | "0" | "off" | "no" => Ok(false),
        _ => Err(D::Error::custom(format!("`{text}` is neither true nor false"))),
    }
}

/// Reads a list: an array in a file, or values parted by commas in a variable.
pub(super) fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    match Value::deserialize(from)? {
        Value::String(text) => {
            Ok(text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
        }
        other => Vec::<String>::deserialize(other).map_err(D::Error::custom),
    }
}

/// Reads a list of networks.
pub(super) fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Network>, D::Error> {
    texts(from)?.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}

/// Reads the lanes of a worker.
pub(super) fn lanes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Lane>, D::Error> {
    let names = texts(from)?;
    if names.is_empty() {
        return Err(D::Error::custom("at least one lane is needed"));
    }
    let lanes: Result<Vec<Lane>, _> = names.iter().map(|name| name.parse()).collect();
    lanes.map_err(|error| D::Error::custom(format!("{error}; lanes are interactive and bulk")))
}

/// Reads one of the words of a closed set.
pub(super) fn choice<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let text = String::deserialize(from)?;
    T::deserialize(text.as_str().into_deserializer()).map_err(|_: serde::de::value::Error| {
        D::Error::custom(format!("`{text}` is not one of {}", variants::<T>().join(", ")))
    })
}

/// Reads a size that is not zero.
pub(super) fn size<'de, D: Deserializer<'de>>(from: D) -> Result<ByteSize, D::Error> {
    let size: ByteSize = parsed(from)?;
    if size.0 == 0 { Err(D::Error::custom("must be more than zero")) } else { Ok(size) }
}

/// Reads a line of text that is not empty.
pub(super) fn line<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(D::Error::custom("must be a line of text, and not empty"));
    }
    Ok(text)
}

/// Reads a word, if there is one.
pub(super) fn word<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(D::Error::custom("must be one word, without spaces or line breaks"));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// Shortest secret that others are derived from, in bytes.
const SHORTEST: usize = 32;

/// Reads the secrets that links and sessions are derived from: one, as it is, or several as a list, on lines, or parted by commas.
/// Empty where there is none.
pub(super) fn link_secrets<'de, D: Deserializer<'de>>(from: D) -> Result<Secrets, D::Error> {
    let texts = match Value::deserialize(from)? {
        Value::String(text) => several(&text).unwrap_or_else(|| vec![text]),
        other => Vec::<String>::deserialize(other).map_err(D::Error::custom)?,
    };
    match texts.as_slice() {
        [] => Ok(Secrets::default()),
        [one] if one.is_empty() => Ok(Secrets::default()),
        [one] if one.len() < SHORTEST => {
            Err(D::Error::custom(format!("is too short; at least {SHORTEST} random bytes are needed")))
        }
        _ => distinct("secret", texts.iter().map(String::as_str)).map(Secrets::new).map_err(D::Error::custom),
    }
}

/// Parts a text that holds several secrets. A comma may also belong to one: it parts only what is long enough on both sides.
fn several(text: &str) -> Option<Vec<String>> {
    let part = |by: char| -> Vec<String> {
        text.split(by).map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    };
    if text.trim().contains('\n') {
        return Some(part('\n'));
    }
    Some(part(',')).filter(|parts| parts.len() > 1 && parts.iter().all(|part| part.len() >= SHORTEST))
}

/// Reads secrets that others are derived from, each another one. A file that holds them may have one a line.
pub(super) fn seal_keys<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Secret>, D::Error> {
    let texts = texts(from)?;
    let keys = texts.iter().flat_map(|text| text.lines()).map(str::trim).filter(|key| !key.is_empty());
    distinct("key", keys).map_err(D::Error::custom)
}

/// Takes secrets that are long enough and no two the same; `what` names one of them in what is said of a wrong one, by its place.
fn distinct<'s>(what: &str, texts: impl Iterator<Item = &'s str>) -> Result<Vec<Secret>, String> {
    let texts: Vec<&str> = texts.collect();
    for (before, text) in texts.iter().enumerate() {
        let nth = before + 1;
        if text.len() < SHORTEST {
            return Err(format!(
                "{what} {nth} is too short; at least {SHORTEST} random bytes are needed, without commas"
            ));
        }
        if let Some(first) = texts.iter().take(before).position(|other| other == text) {
            return Err(format!("{what} {nth} is the same as {what} {}", first + 1));
        }
    }
    Ok(texts.into_iter().map(Secret::new).collect())
}

/// Reads an address to listen on.
pub(super) fn address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    let wrong = |_| D::Error::custom(format!("`{text}` is not an address; write for example \"127.0.0.1:8080\""));
    text.parse().map_err(wrong)
}

/// Reads a log filter.
pub(super) fn log_filter<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    match text.parse::<tracing_subscriber::EnvFilter>() {
        Ok(_) => Ok(text),
        Err(_) => Err(D::Error::custom(format!(
            "`{text}` is not a log filter; write for example \"info\" or \"info,broker=debug\""
        ))),
    }
}

/// Reads a value whose `FromStr` says what is wrong.
pub(super) fn parsed<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

/// Shows where a URL leads and hides its passwords. What cannot be read is hidden as a whole.
pub(super) fn hide_passwords<S: Serializer>(url: &Secret, to: S) -> Result<S::Ok, S::Error> {
    let text = url.expose();
    if text.is_empty() {
        return to.serialize_str("");
    }
    let Ok(mut shown) = text.parse::<Url>() else { return to.serialize_str("(hidden)") };
    let in_query = |(name, _): (Cow<'_, str>, Cow<'_, str>)| name.contains("password");
    let changed = (shown.password().is_some() && shown.set_password(Some("hidden")).is_err())
        || shown.query_pairs().any(in_query);
    // As it was written where nothing is hidden: a parsed URL may be spelled otherwise.
    match (changed, shown.password()) {
        (true, _) => to.serialize_str("(hidden)"),
        (false, Some(_)) => to.collect_str(&shown),
        (false, None) => to.serialize_str(text),
    }
}
