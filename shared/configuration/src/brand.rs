//! How mails look and read: of everybody in `[mail]`, of one tenant in `[tenants.<name>]`.

use std::path::PathBuf;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Color;
use super::encoding::{optional, parsed};
use model::locale::{Language, Tz};

/// How a tenant's mails look and read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brand {
    /// Stands above each mail, and for a logo that is not shown.
    #[serde(rename = "brand", deserialize_with = "name")]
    pub name: String,
    /// Of the button and the top of the card.
    pub color: Color,
    /// Stands in place of the name.
    #[serde(with = "optional")]
    pub logo: Option<Logo>,
    /// For readers who asked for none.
    #[serde(deserialize_with = "language")]
    pub language: Language,
    /// For readers who asked for none.
    #[serde(with = "zone")]
    pub time_zone: Tz,
}

fn name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.trim().is_empty() || text.chars().count() > 60 || text.chars().any(char::is_control) {
        return Err(D::Error::custom("must be a line of 1 to 60 characters"));
    }
    Ok(text)
}

fn language<'de, D: Deserializer<'de>>(from: D) -> Result<Language, D::Error> {
    let text = String::deserialize(from)?;
    let known = Language::ALL.map(Language::as_str).join(", ");
    text.parse().map_err(|_| D::Error::custom(format!("`{text}` is not one of {known}")))
}

/// A time zone by its IANA name.
pub(super) mod zone {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use model::locale::{Tz, time_zone};

    pub(crate) fn serialize<S: Serializer>(zone: &Tz, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(zone.name())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Tz, D::Error> {
        let text = String::deserialize(from)?;
        time_zone(&text).ok_or_else(|| {
            D::Error::custom(format!("`{text}` is not an IANA time zone; write for example \"Europe/Berlin\""))
        })
    }
}

/// Where a logo comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logo {
    /// An `https:` address that mail programs fetch.
    Address(String),
    /// A file that is sent along with each mail.
    File(PathBuf),
}

impl Serialize for Logo {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Address(address) => to.serialize_str(address),
            Self::File(path) => to.collect_str(&path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for Logo {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        parsed(from)
    }
}

impl FromStr for Logo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((scheme, rest)) = text.split_once("://") {
            // It stands in an attribute of HTML, and a mail program asks for it.
            let plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'<' | b'>'));
            return if scheme == "https" && plain && !rest.is_empty() {
                Ok(Self::Address(text.to_owned()))
            } else {
                Err(format!("`{text}` is not an https:// address; mail programs fetch no other, or not safely"))
            };
        }
        let path = PathBuf::from(text);
        match path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("png" | "jpg" | "jpeg" | "gif") => Ok(Self::File(path)),
            _ => Err(format!(
                "`{text}` is neither an https:// address nor a PNG, JPEG or GIF file; mail programs show no other"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logo_is_fetched_over_https_or_sent_along() {
        let address = "https://cdn.example.com/logo.png?v=2";
        assert_eq!(address.parse(), Ok(Logo::Address(address.to_owned())));
        assert_eq!("/etc/waitless/acme.PNG".parse(), Ok(Logo::File("/etc/waitless/acme.PNG".into())));
        for bad in ["http://cdn.example.com/logo.png", "https://x/\"onerror=", "https://", "logo.svg", "data:x"] {
            assert!(bad.parse::<Logo>().is_err(), "{bad}");
        }
    }
}
