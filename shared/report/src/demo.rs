//! The demo catalogue, inside of the binary so that nothing is needed beside it.

/// Name and text of each demo report, in the order of their names.
pub const DEMO_CATALOGUE: [(&str, &str); 7] = [
    ("line-item-export", include_str!("../../../catalogue/line-item-export.toml")),
    ("market-segment-orders", include_str!("../../../catalogue/market-segment-orders.toml")),
    ("order-intake", include_str!("../../../catalogue/order-intake.toml")),
    ("pricing-summary", include_str!("../../../catalogue/pricing-summary.toml")),
    ("revenue-by-nation", include_str!("../../../catalogue/revenue-by-nation.toml")),
    ("shipping-priority", include_str!("../../../catalogue/shipping-priority.toml")),
    ("top-customers", include_str!("../../../catalogue/top-customers.toml")),
];
