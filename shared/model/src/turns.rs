//! Whose turn it is: tenants share the run time of a lane by their weights, and the principals of a tenant its part of it.
//!
//! Each has a `pass`, the milliseconds of run time it has used, divided by its weight; whoever has the least is next. What runs at this
//! moment counts with the time it has run and a second more, so that who has much under way lets those go first who have nothing.
//! Who was away comes back with at least the least pass of those who are there: nobody saves up turns.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A run that has just begun counts as this long.
const PRESUMED_MS: f64 = 1_000.0;

/// What is running for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Running {
    /// Runs.
    pub count: u32,
    /// Milliseconds that they have run so far, in all.
    pub ms: f64,
}

impl Running {
    fn cost(self) -> f64 {
        f64::from(self.count).mul_add(PRESUMED_MS, self.ms.max(0.0))
    }
}

/// A principal of a tenant, for whom a job may wait.
#[derive(Debug, Clone, PartialEq)]
pub struct PrincipalTurn {
    /// Who.
    pub principal: String,
    /// What it has used.
    pub pass: f64,
    /// What is running for it.
    pub running: Running,
}

/// A tenant for which jobs may wait.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantTurn {
    /// Who.
    pub tenant: String,
    /// What it has used, by weight.
    pub pass: f64,
    /// Its share: twice the weight gets twice the run time.
    pub weight: f64,
    /// What is running for it.
    pub running: Running,
    /// Its principals.
    pub principals: Vec<PrincipalTurn>,
}

/// So many of somebody's jobs are next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnCount {
    /// Whose.
    pub tenant: String,
    /// Whose.
    pub principal: String,
    /// How many.
    pub count: u32,
}

/// Somebody in the heap: the least pass on top, and of equal ones the first of the list.
#[derive(Debug)]
struct HeapEntry {
    pass: f64,
    index: usize,
}

impl Ord for HeapEntry {
    fn cmp(&self, other: &Self) -> Ordering {
        other.pass.total_cmp(&self.pass).then_with(|| other.index.cmp(&self.index))
    }
}

impl PartialOrd for HeapEntry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for HeapEntry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for HeapEntry {}

/// Who is next, again and again: each turn is taken as if its job ran for a second.
#[derive(Debug)]
pub struct TurnOrder {
    tenants: BinaryHeap<HeapEntry>,
    /// Step of each tenant's pass, and its principals.
    members: Vec<(f64, BinaryHeap<HeapEntry>)>,
}

impl TurnOrder {
    /// Begins with those who are next.
    #[must_use]
    pub fn new(lane: &[TenantTurn]) -> Self {
        let weight = |tenant: &TenantTurn| tenant.weight.max(f64::MIN_POSITIVE);
        let place = |(index, tenant): (usize, &TenantTurn)| HeapEntry {
            pass: tenant.pass + tenant.running.cost() / weight(tenant),
            index,
        };
        let members = lane.iter().map(|tenant| {
            let of = |(index, one): (usize, &PrincipalTurn)| HeapEntry { pass: one.pass + one.running.cost(), index };
            (PRESUMED_MS / weight(tenant), tenant.principals.iter().enumerate().map(of).collect())
        });
        Self { tenants: lane.iter().enumerate().map(place).collect(), members: members.collect() }
    }

    /// Says that somebody has nothing more: the principal that was told last.
    pub fn drop_last(&mut self, (tenant, principal): (usize, usize)) {
        if let Some((_, members)) = self.members.get_mut(tenant) {
            members.retain(|place| place.index != principal);
        }
    }
}

impl Iterator for TurnOrder {
    /// Places of the tenant and of its principal.
    type Item = (usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let tenant = self.tenants.pop()?;
            let Some((step, members)) = self.members.get_mut(tenant.index) else { continue };
            let Some(member) = members.pop() else { continue };
            members.push(HeapEntry { pass: member.pass + PRESUMED_MS, index: member.index });
            self.tenants.push(HeapEntry { pass: tenant.pass + *step, index: tenant.index });
            return Some((tenant.index, member.index));
        }
    }
}

/// Says whose the next `count` jobs are: those first that are next, each named once, then everybody else in their order with one
/// each, at most `spare` of them, for where the first have fewer than that.
#[must_use]
pub fn next_turns(lane: &[TenantTurn], count: u32, spare: usize) -> Vec<TurnCount> {
    let mut turns: Vec<((usize, usize), u32)> = Vec::new();
    for next in TurnOrder::new(lane).take(count as usize) {
        match turns.iter_mut().find(|(known, _)| *known == next) {
            Some((_, more)) => *more += 1,
            None => turns.push((next, 1)),
        }
    }
    let mut order = TurnOrder::new(lane);
    let all: usize = lane.iter().map(|tenant| tenant.principals.len()).sum();
    let wanted = turns.len().saturating_add(spare).min(all);
    while turns.len() < wanted {
        let Some(next) = order.next() else { break };
        if !turns.iter().any(|(known, _)| *known == next) {
            turns.push((next, 1));
        }
        order.drop_last(next);
    }
    let named = |((tenant, principal), count): ((usize, usize), u32)| {
        let of = lane.get(tenant)?;
        let principal = of.principals.get(principal)?.principal.clone();
        Some(TurnCount { tenant: of.tenant.clone(), principal, count })
    };
    turns.into_iter().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(name: &str, pass: f64) -> PrincipalTurn {
        PrincipalTurn { principal: name.to_owned(), pass, running: Running::default() }
    }

    fn tenant(name: &str, pass: f64, weight: f64) -> TenantTurn {
        let principals = vec![principal("ana", 0.0)];
        TenantTurn { tenant: name.to_owned(), pass, weight, running: Running::default(), principals }
    }

    fn counts(lane: &[TenantTurn], count: u32) -> Vec<(String, u32)> {
        next_turns(lane, count, 0).into_iter().map(|turn| (turn.tenant, turn.count)).collect()
    }

    fn named(turns: &[(&str, u32)]) -> Vec<(String, u32)> {
        turns.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn whoever_has_used_the_least_is_next() {
        let lane = [tenant("acme", 5_000.0, 1.0), tenant("bolt", 4_000.0, 1.0)];
        assert_eq!(counts(&lane, 1), named(&[("bolt", 1)]));
        assert_eq!(counts(&lane, 5), named(&[("bolt", 3), ("acme", 2)]));
    }

    #[test]
    fn who_has_much_under_way_lets_others_go_first() {
        let running = Running { count: 3, ms: 200.0 };
        let lane = [TenantTurn { running, ..tenant("acme", 0.0, 1.0) }, tenant("bolt", 0.0, 1.0)];
        assert_eq!(counts(&lane, 3), named(&[("bolt", 3)]));
        assert_eq!(counts(&lane, 6), named(&[("bolt", 5), ("acme", 1)]));
    }

    #[test]
    fn twice_the_weight_gets_twice_the_turns() {
        let lane = [tenant("acme", 0.0, 2.0), tenant("bolt", 0.0, 1.0)];
        assert_eq!(counts(&lane, 300), named(&[("acme", 200), ("bolt", 100)]));
    }

    #[test]
    fn principals_take_turns_within_their_tenant_only() {
        let crowd = (0..9).map(|n| principal(&format!("p{n}"), 0.0)).collect();
        let lane = [TenantTurn { principals: crowd, ..tenant("acme", 0.0, 1.0) }, tenant("bolt", 0.0, 1.0)];
        let turns = next_turns(&lane, 18, 0);
        assert_eq!(turns.iter().filter(|turn| turn.tenant == "acme").map(|turn| turn.count).sum::<u32>(), 9);
        assert!(turns.iter().all(|turn| turn.count == if turn.tenant == "acme" { 1 } else { 9 }), "{turns:?}");
    }

    #[test]
    fn others_are_named_behind_those_whose_turn_it_is_for_where_they_have_nothing() {
        let lane = [tenant("acme", 9_000.0, 1.0), tenant("bolt", 0.0, 1.0), tenant("coil", 3_000.0, 1.0)];
        let turns: Vec<_> = next_turns(&lane, 2, 9).into_iter().map(|turn| (turn.tenant, turn.count)).collect();
        assert_eq!(turns, named(&[("bolt", 2), ("coil", 1), ("acme", 1)]));
        assert_eq!((next_turns(&lane, 2, 1).len(), next_turns(&lane, 2, usize::MAX).len()), (2, 3));
        assert!(next_turns(&[], 4, 4).is_empty());
    }
}
