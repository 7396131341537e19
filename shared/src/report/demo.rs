//! The demo catalogue, inside of the binary so that nothing is needed beside it.

/// Name and text of each demo report, in the order of their names.
pub const DEMO_CATALOGUE: [(&str, &str); 1] =
    [("pricing-summary", include_str!("../../../catalogue/pricing-summary.toml"))];
