//! The part of the contract about limits of runs at once.

use async_trait::async_trait;

use model::limits::{LimitKind, RunLimit};

use super::Result;

/// Limits of runs at once.
///
/// Whatever claims a job, by turn or by name, starts it only where each of its limits has a place: its tenant's, its report's, that of
/// the source it reads from, and that of the value of its report's key. A place is taken by a job that is `processing`, and by nothing
/// else, so that it is free with whatever ends a run. Two claims at once never exceed a limit.
///
/// A job without a place is answered [`Claimed::Limited`](super::Claimed::Limited) and set aside in the line of the limit that is full
/// ([`model::limits::SetAside`]): nobody looks at it. Whatever ends a run rings for those that are next in its lines, in the same call:
/// the oldest of a tenant, and those tenants first that have least under way there. Of one value of a key no job passes an older one
/// that waits in line.
#[async_trait]
pub trait LimitStore: Send + Sync {
    /// Makes `limits` all that there are of these kinds. They hold from the next claim on, and what runs already counts, apart from
    /// values of keys. Whoever waits in a line that has places now is rung for.
    async fn declare_limits(&self, kinds: &[LimitKind], limits: &[RunLimit]) -> Result<()>;
    /// Lists what was declared, by name.
    async fn limits(&self) -> Result<Vec<RunLimit>>;
    /// Rings for those that wait in lines with free places, where a crash came between the end of a run and that. Returns how many.
    async fn fill_places(&self) -> Result<u32>;
}
