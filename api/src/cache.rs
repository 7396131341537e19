//! Caches that are bounded: when one is full, what was not used for longest goes, and nothing else.

use std::hash::Hash;

use moka::policy::EvictionPolicy;
use moka::sync::{Cache, CacheBuilder};

/// Makes a cache of at most `most` entries.
pub(crate) fn bounded<K, V>(most: u64) -> CacheBuilder<K, V, Cache<K, V>>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder().max_capacity(most).eviction_policy(EvictionPolicy::lru())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_over_its_bound_keeps_what_is_used() {
        let cache = bounded(100).build();
        cache.insert(0, "used");
        for key in 1..1000 {
            cache.insert(key, "never asked for");
            assert_eq!(cache.get(&0), Some("used"), "after {key}");
            cache.run_pending_tasks();
        }
        assert_eq!(cache.entry_count(), 100);
        assert_eq!((cache.get(&1), cache.get(&999)), (None, Some("never asked for")));
    }
}
