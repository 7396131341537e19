//! The colour of mails: one that white text can be read on, by day and in dark mode.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::encoding::parsed;

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

impl Serialize for Color {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Color {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        parsed(from)
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
}
