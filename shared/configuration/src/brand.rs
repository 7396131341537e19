//! How mails look and read: of everybody in `[mail]`, of one tenant in `[tenants.<name>]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use config::Value;

use super::read::Reader;
use model::locale::{Language, Tz, time_zone};

/// How a tenant's mails look and read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brand {
    /// Stands above each mail, and for a logo that is not shown.
    pub name: String,
    /// Of the button and the top of the card.
    pub color: Color,
    /// Stands in place of the name.
    pub logo: Option<Logo>,
    /// For readers who asked for none.
    pub language: Language,
    /// For readers who asked for none.
    pub time_zone: Tz,
}

/// Where a logo comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logo {
    /// An `https:` address that mail programs fetch.
    Address(String),
    /// A file that is sent along with each mail.
    File(PathBuf),
}

impl Logo {
    /// Returns it as it was written.
    #[must_use]
    pub fn written(&self) -> String {
        match self {
            Self::Address(address) => address.clone(),
            Self::File(path) => path.display().to_string(),
        }
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

/// A colour that white text can be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color([u8; 3]);

/// WCAG 2.2, for text of normal size.
const READABLE: f64 = 4.5;

/// The darkest a button may be on the dark card, and about the lightest on which white can still be read.
const SEEN_IN_THE_DARK: f64 = 0.165;

impl Color {
    /// Returns the shade for dark mode: the colour itself, or lighter where it would sink into the dark.
    #[must_use]
    pub fn in_the_dark(self) -> Self {
        let own = self.luminance();
        if own >= SEEN_IN_THE_DARK {
            return self;
        }
        // Mixing with white moves the luminance along a straight line.
        let share = (SEEN_IN_THE_DARK - own) / (1.0 - own);
        Self(self.0.map(|part| encode(decode(part) + share * (1.0 - decode(part)))))
    }

    /// Contrast of white text on it: 1 to 21.
    fn contrast(self) -> f64 {
        1.05 / (self.luminance() + 0.05)
    }

    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(decode);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// The same colour, as dark as white text needs.
    fn readable(self) -> Self {
        let factor = (1.05 / READABLE - 0.05) / self.luminance();
        // Rounded down, so that it holds.
        Self(self.0.map(|part| encode(decode(part) * factor * 0.98)))
    }
}

/// sRGB to light.
fn decode(part: u8) -> f64 {
    let part = f64::from(part) / 255.0;
    if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
}

/// Light to sRGB.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255")]
fn encode(light: f64) -> u8 {
    let light = light.clamp(0.0, 1.0);
    let part = if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
    (part * 255.0).round().clamp(0.0, 255.0) as u8
}

impl std::fmt::Display for Color {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl FromStr for Color {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii());
        let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let Some(number) = number else {
            return Err(format!("`{text}` is not a colour; write for example \"#1f5fbf\""));
        };
        let [_, red, green, blue] = number.to_be_bytes();
        let color = Self([red, green, blue]);
        if color.contrast() < READABLE {
            return Err(format!(
                "`{text}` is too light: white text on it has a contrast of {:.1} to 1 and needs {READABLE} to 1; \"{}\" would do",
                color.contrast(),
                color.readable()
            ));
        }
        Ok(color)
    }
}

/// What is in force where the settings are wrong; nobody sees it, because the configuration is refused.
impl Default for Color {
    fn default() -> Self {
        Self([0, 0, 0])
    }
}

impl Reader {
    /// Reads the brand of everybody, in `[mail]`.
    pub(super) fn brand(&mut self) -> Brand {
        let name = self.text("mail.brand");
        let (color, logo) = (self.text("mail.color"), self.text("mail.logo"));
        let (language, zone) = (self.text("mail.language"), self.text("mail.time_zone"));
        Brand {
            name: self.brand_name("mail.brand", name),
            color: self.parsed("mail.color", &color),
            logo: self.logo("mail.logo", &logo),
            language: self.language("mail.language", &language),
            time_zone: self.zone("mail.time_zone", &zone),
        }
    }

    /// Reads `[tenants.<name>]`.
    pub(super) fn tenants(&mut self, everybody: &Brand) -> BTreeMap<String, Brand> {
        let tenants = self.config.get::<BTreeMap<String, BTreeMap<String, Value>>>("tenants").unwrap_or_default();
        tenants.into_iter().map(|(name, settings)| (name.clone(), self.tenant(&name, settings, everybody))).collect()
    }

    fn tenant(&mut self, name: &str, settings: BTreeMap<String, Value>, everybody: &Brand) -> Brand {
        let mut brand = everybody.clone();
        for (setting, value) in settings {
            let key = format!("tenants.{name}.{setting}");
            let Ok(text) = value.into_string() else {
                self.fault::<()>(&key, "a single value is needed");
                continue;
            };
            match setting.as_str() {
                "brand" => brand.name = self.brand_name(&key, text),
                "color" => brand.color = self.parsed(&key, &text),
                "logo" => brand.logo = self.logo(&key, &text),
                "language" => brand.language = self.language(&key, &text),
                "time_zone" => brand.time_zone = self.zone(&key, &text),
                // Told already, where the layers were laid.
                _ => {}
            }
        }
        brand
    }

    fn brand_name(&mut self, key: &str, text: String) -> String {
        if text.trim().is_empty() || text.chars().count() > 60 || text.chars().any(char::is_control) {
            return self.fault(key, "must be a line of 1 to 60 characters");
        }
        text
    }

    fn logo(&mut self, key: &str, text: &str) -> Option<Logo> {
        if text.is_empty() {
            return None;
        }
        text.parse().map_or_else(|message: String| self.fault(key, message), Some)
    }

    fn language(&mut self, key: &str, text: &str) -> Language {
        let known = Language::ALL.map(Language::as_str).join(", ");
        text.parse().unwrap_or_else(|_| self.fault(key, format!("`{text}` is not one of {known}")))
    }

    fn zone(&mut self, key: &str, text: &str) -> Tz {
        time_zone(text).unwrap_or_else(|| {
            self.fault::<()>(key, format!("`{text}` is not an IANA time zone; write for example \"Europe/Berlin\""));
            Tz::UTC
        })
    }

    fn parsed<T: FromStr<Err = String> + Default>(&mut self, key: &str, text: &str) -> T {
        text.parse().unwrap_or_else(|message: String| self.fault(key, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_that_white_text_cannot_be_read_on_is_refused_with_one_that_would_do() {
        assert_eq!("#1F5fbf".parse::<Color>().unwrap().to_string(), "#1f5fbf");
        for light in ["#ffcc00", "#7fd3ff", "#ffffff", "#e0e0e0", "#ff6a00"] {
            let said = light.parse::<Color>().unwrap_err();
            let instead = said.split('"').nth(1).unwrap();
            assert!(said.contains("too light") && instead.parse::<Color>().is_ok(), "{said}");
        }
        for no_color in ["blue", "#12", "#12345g", "1f5fbf", "#ä1234"] {
            assert!(no_color.parse::<Color>().unwrap_err().contains("is not a colour"), "{no_color}");
        }
    }

    #[test]
    fn a_dark_colour_is_lightened_for_dark_mode_and_white_can_still_be_read_on_it() {
        for color in ["#000000", "#0b1f4d", "#1f5fbf", "#b3341d", "#7a1fa2", "#006644"] {
            let dark = color.parse::<Color>().unwrap().in_the_dark();
            assert!(dark.contrast() >= READABLE, "{color} becomes {dark}: {}", dark.contrast());
            assert!(dark.luminance() >= 0.155, "{color} becomes {dark}: {}", dark.luminance());
        }
    }

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
