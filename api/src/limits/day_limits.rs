//! The limits of one day: of a tenant, or of a principal.

use configuration::Quotas;
use model::usage::Usage;

/// What may be used a day; 0: as much as one likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DayLimits {
    most: Usage,
    of_principal: bool,
}

/// A limit by its name in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedLimit {
    pub(crate) name: String,
    pub(crate) of_principal: bool,
    pub(crate) most: u64,
    pub(crate) used: u64,
}

impl DayLimits {
    pub(crate) const fn of_tenant(quotas: &Quotas) -> Self {
        let most = Usage {
            jobs: quotas.jobs_per_day,
            rows: quotas.rows_per_day,
            bytes: quotas.bytes_per_day.0,
            recipients: quotas.recipients_per_day,
            links: quotas.links_per_day,
        };
        Self { most, of_principal: false }
    }

    pub(crate) const fn of_principal(quotas: &Quotas) -> Self {
        let most = Usage {
            jobs: quotas.principal_jobs_per_day,
            rows: quotas.principal_rows_per_day,
            bytes: quotas.principal_bytes_per_day.0,
            recipients: quotas.principal_recipients_per_day,
            links: quotas.principal_links_per_day,
        };
        Self { most, of_principal: true }
    }

    pub(super) fn are_none(&self) -> bool {
        self.most == Usage::default()
    }

    /// Each limit with what was used of it, and what is asked for. Of rows and bytes nobody knows how many a job will have.
    fn each(&self, used: Usage, asked: Usage) -> [(NamedLimit, Option<u64>); 5] {
        let Self { most, of_principal } = *self;
        let limit = |what: &str, most, used| {
            let of = if of_principal { "principal_" } else { "" };
            NamedLimit { name: format!("{of}{what}_per_day"), of_principal, most, used }
        };
        [
            (limit("jobs", most.jobs, used.jobs), Some(asked.jobs)),
            (limit("recipients", most.recipients, used.recipients), Some(asked.recipients)),
            (limit("links", most.links, used.links), Some(asked.links)),
            (limit("rows", most.rows, used.rows), None),
            (limit("bytes", most.bytes, used.bytes), None),
        ]
    }

    fn bounding(&self, used: Usage, asked: Usage) -> impl Iterator<Item = (NamedLimit, Option<u64>)> {
        self.each(used, asked).into_iter().filter(|(limit, _)| limit.most > 0)
    }

    /// Returns every limit, also those that there are not, with what was used.
    pub(crate) fn all(&self, used: Usage) -> impl Iterator<Item = NamedLimit> {
        self.each(used, Usage::default()).into_iter().map(|(limit, _)| limit)
    }

    /// Finds the limit that what is asked is too much for.
    pub(super) fn reached(&self, used: Usage, asked: Usage) -> Option<NamedLimit> {
        self.bounding(used, asked)
            .find(|(limit, asked)| match asked {
                Some(0) => false,
                Some(asked) => limit.used.saturating_add(*asked) > limit.most,
                None => limit.used >= limit.most,
            })
            .map(|(limit, _)| limit)
    }

    /// Finds the limit that what is asked alone is too much for, on any day.
    pub(super) fn never_allow(&self, asked: Usage) -> Option<(NamedLimit, u64)> {
        let each = self.bounding(Usage::default(), asked);
        each.filter_map(|(limit, asked)| Some((limit, asked?))).find(|(limit, asked)| *asked > limit.most)
    }

    /// Tells whether little is left of a limit that submits take from.
    pub(super) fn leave_little(&self, used: Usage) -> bool {
        self.bounding(used, Usage::default())
            .any(|(limit, asked)| asked.is_some() && limit.most.saturating_sub(limit.used) < LITTLE)
    }

    /// Tells whether what was taken since the store was asked, and what is asked now, is but a small part of what was left then.
    pub(super) fn leave_plenty(&self, stored: Usage, taken: Usage, asked: Usage) -> bool {
        self.bounding(stored, taken.plus(asked)).all(|(limit, taken)| {
            let left = limit.most.saturating_sub(limit.used);
            left > 0 && taken.is_none_or(|taken| taken <= left / SMALL_PART)
        })
    }
}

/// One part of so many of what is left may be taken before the store is asked again.
const SMALL_PART: u64 = 20;

/// With less left than this, submits come one after the other.
const LITTLE: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> DayLimits {
        DayLimits::of_tenant(&Quotas {
            jobs_per_day: 10,
            rows_per_day: 100,
            recipients_per_day: 5,
            ..Quotas::default()
        })
    }

    fn asked(jobs: u64, recipients: u64) -> Usage {
        Usage { jobs, recipients, links: 3, ..Usage::default() }
    }

    #[test]
    fn a_limit_is_reached_by_what_is_too_much_and_not_before() {
        let reached = |used, asked| limits().reached(used, asked).map(|limit| limit.name);
        assert_eq!(reached(asked(9, 4), asked(1, 1)), None);
        assert_eq!(reached(asked(10, 0), asked(1, 0)).as_deref(), Some("jobs_per_day"));
        assert_eq!(reached(asked(0, 4), asked(1, 2)).as_deref(), Some("recipients_per_day"));
        assert_eq!(reached(asked(10, 5), asked(0, 0)), None, "what asks for nothing takes nothing");
        let full = Usage { rows: 100, ..Usage::default() };
        assert_eq!(reached(full, Usage::default()).as_deref(), Some("rows_per_day"));
        assert_eq!(reached(Usage { rows: 99, bytes: u64::MAX, ..Usage::default() }, asked(1, 0)), None);
    }

    #[test]
    fn what_is_more_than_a_day_has_is_never_allowed() {
        let (limit, asked_for) = limits().never_allow(asked(1, 6)).unwrap();
        assert_eq!((limit.name.as_str(), limit.most, asked_for), ("recipients_per_day", 5, 6));
        assert_eq!(limits().never_allow(asked(1, 5)), None);
        let none = DayLimits::of_principal(&Quotas::default());
        assert!(none.are_none() && none.reached(asked(u64::MAX, 1), asked(1, 1)).is_none());
    }
}
