//! How a tenant's mails look: name, colours, logo.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use configuration::Logo;
use serde::Serialize;

/// A logo travels with every mail, so it must be small.
const MAX_LOGO: u64 = 100 << 10;

/// The address of a logo that travels with the mail.
pub(super) const LOGO_ID: &str = "logo@waitless";

/// A brand, ready to be put into mails.
#[derive(Debug, Clone)]
pub(super) struct Brand {
    pub(super) settings: configuration::Brand,
    pub(super) picture: Option<Picture>,
}

/// A picture that travels with the mail.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub(super) media_type: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// What templates see of a brand.
#[derive(Debug, Serialize)]
pub(super) struct Look {
    name: String,
    color: String,
    color_in_the_dark: String,
    logo: Option<String>,
}

impl Brand {
    /// Makes a brand ready: reads its logo.
    pub(super) fn open(settings: &configuration::Brand) -> anyhow::Result<Self> {
        let picture = match &settings.logo {
            Some(Logo::File(path)) => Some(
                read_picture(path)
                    .with_context(|| format!("the logo {} of the mails of {}", path.display(), settings.name))?,
            ),
            Some(Logo::Address(_)) | None => None,
        };
        Ok(Self { settings: settings.clone(), picture })
    }

    /// Returns what templates see.
    pub(super) fn look(&self) -> Look {
        let settings = &self.settings;
        Look {
            name: settings.name.clone(),
            color: settings.color.to_string(),
            color_in_the_dark: settings.color.in_the_dark().to_string(),
            logo: settings.logo.as_ref().map(|logo| match logo {
                Logo::Address(address) => address.clone(),
                Logo::File(_) => format!("cid:{LOGO_ID}"),
            }),
        }
    }
}

fn read_picture(path: &Path) -> anyhow::Result<Picture> {
    let size = std::fs::metadata(path).context("cannot be read")?.len();
    ensure!(size <= MAX_LOGO, "has {size} bytes; at most {MAX_LOGO} may travel with every mail");
    let bytes = std::fs::read(path).context("cannot be read")?;
    let media_type = match bytes.get(..4) {
        Some(b"\x89PNG") => "image/png",
        Some([0xff, 0xd8, 0xff, _]) => "image/jpeg",
        Some(b"GIF8") => "image/gif",
        _ => bail!("is neither PNG, JPEG nor GIF"),
    };
    Ok(Picture { media_type, bytes })
}
