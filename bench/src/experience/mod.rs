//! What whoever waits experiences.

pub(crate) mod calibration;

/// What can be measured on its own.
pub(crate) const PARTS: [&str; 1] = ["calibration"];

/// Runs the named parts of the group, or all of them.
pub(crate) async fn measure(parts: &[String]) -> anyhow::Result<()> {
    if parts.is_empty() || parts.iter().any(|part| part == "calibration") {
        calibration::measure().await?;
    }
    Ok(())
}
