//! How much a tenant, and each principal of it, may use: of everybody in `[quotas]`, of one tenant in `[tenants.<name>.quotas]`.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use super::Brand;
use super::encoding::{at_least, at_most, parsed};
use model::units::ByteSize;

/// `[quotas]`: 0 is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quotas {
    /// Of the tenant.
    #[serde(deserialize_with = "at_least::<0, _, _>")]
    pub unfinished_jobs: u32,
    #[serde(deserialize_with = "at_least::<0, _, _>")]
    pub jobs_per_day: u64,
    #[serde(deserialize_with = "at_least::<0, _, _>")]
    pub rows_per_day: u64,
    #[serde(deserialize_with = "parsed")]
    pub bytes_per_day: ByteSize,
    #[serde(deserialize_with = "at_least::<0, _, _>")]
    pub recipients_per_job: u64,
    #[serde(deserialize_with = "at_least::<0, _, _>")]
    pub recipients_per_day: u64,
    #[serde(deserialize_with = "at_least::<0, _, _>")]
    pub links_per_day: u64,
    /// Of each principal.
    #[serde(deserialize_with = "at_most::<1_000, _>")]
    pub principal_unfinished_jobs: u32,
    #[serde(deserialize_with = "at_least::<0, _, _>")]
    pub principal_jobs_per_day: u64,
    #[serde(deserialize_with = "at_least::<0, _, _>")]
    pub principal_rows_per_day: u64,
    #[serde(deserialize_with = "parsed")]
    pub principal_bytes_per_day: ByteSize,
    #[serde(deserialize_with = "at_least::<0, _, _>")]
    pub principal_recipients_per_day: u64,
    #[serde(deserialize_with = "at_least::<0, _, _>")]
    pub principal_links_per_day: u64,
}

/// `[tenants.<name>]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// How its mails look and read.
    #[serde(flatten)]
    pub brand: Brand,
    /// Its share of each lane's run time, beside others that have 1.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub weight: u16,
    /// Jobs of it that may run at once, over all workers; 0: no limit.
    #[serde(deserialize_with = "at_least::<0, _, _>")]
    pub max_running: u32,
    /// How much it may use.
    pub quotas: Quotas,
}

impl From<Brand> for Tenant {
    /// Bounds it by nothing.
    fn from(brand: Brand) -> Self {
        Self { brand, weight: 1, max_running: 0, quotas: Quotas::default() }
    }
}

impl Deref for Tenant {
    type Target = Brand;

    fn deref(&self) -> &Brand {
        &self.brand
    }
}
