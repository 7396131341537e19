//! How a tenant's notifications look: name, colours, logo.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use configuration::Logo;

/// A logo travels with every mail, so it must be small.
const MAX_LOGO: u64 = 100 << 10;

/// A brand, with its logo read.
#[derive(Debug, Clone)]
pub struct Brand {
    /// As configured.
    pub settings: configuration::Brand,
    /// The logo, where it is a file.
    pub logo_image: Option<LogoImage>,
}

/// A picture that travels with the notification.
#[derive(Debug, Clone)]
pub struct LogoImage {
    /// Such as `image/png`.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
}

impl Brand {
    /// Makes a brand ready: reads its logo.
    pub(super) fn open(settings: &configuration::Brand) -> anyhow::Result<Self> {
        let logo_image = match &settings.logo {
            Some(Logo::File(path)) => Some(
                read_image(path)
                    .with_context(|| format!("the logo {} of the mails of {}", path.display(), settings.name))?,
            ),
            Some(Logo::Address(_)) | None => None,
        };
        Ok(Self { settings: settings.clone(), logo_image })
    }
}

fn read_image(path: &Path) -> anyhow::Result<LogoImage> {
    let size = std::fs::metadata(path).context("cannot be read")?.len();
    ensure!(size <= MAX_LOGO, "has {size} bytes; at most {MAX_LOGO} may travel with every mail");
    let bytes = std::fs::read(path).context("cannot be read")?;
    let media_type = match bytes.get(..4) {
        Some(b"\x89PNG") => "image/png",
        Some([0xff, 0xd8, 0xff, _]) => "image/jpeg",
        Some(b"GIF8") => "image/gif",
        _ => bail!("is neither PNG, JPEG nor GIF"),
    };
    Ok(LogoImage { media_type, bytes })
}
