//! Names of files and folders in the configuration.

use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer};

use super::encoding::texts;

/// Reads the name of a file or folder.
pub(super) fn path<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    let text = String::deserialize(from)?;
    if text.chars().any(char::is_control) {
        return Err(D::Error::custom("must be the name of a file or folder, without line breaks"));
    }
    Ok(PathBuf::from(text))
}

/// Reads a list of files and folders, each of which must be there.
pub(super) fn paths<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PathBuf>, D::Error> {
    let paths: Vec<PathBuf> = texts(from)?.into_iter().map(Into::into).collect();
    match paths.iter().find(|path| !path.exists()) {
        Some(path) => Err(D::Error::custom(format!("there is no file or folder `{}`", path.display()))),
        None => Ok(paths),
    }
}

/// Reads the name of a folder, which must be there, if there is one.
pub(super) fn folder<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    let path = path(from)?;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    if path.is_dir() {
        Ok(Some(path))
    } else {
        Err(D::Error::custom(format!("there is no folder `{}`", path.display())))
    }
}

/// Reads the name of a file with certificates, if there is one, and looks into it.
pub(super) fn certificates<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    let path = path(from)?;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let shown = path.display();
    match std::fs::read_to_string(&path) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => Ok(Some(path)),
        Ok(_) => Err(D::Error::custom(format!("`{shown}` holds no certificate in PEM"))),
        Err(error) => Err(D::Error::custom(format!("`{shown}` cannot be read: {error}"))),
    }
}
