//! Whether all ends well from here, when nothing more goes wrong.

use crate::action::RunEnding;
use crate::{Action, Bounds, System};

/// More steps than any history of the bounds that are in use needs.
const MOST_STEPS: usize = 400;

/// Tells whether every job becomes final, every delivery is sent and the outbox is emptied, if from now on every process does its work
/// and there is no fault.
#[must_use]
pub fn ends_well(system: &System, bounds: &Bounds) -> bool {
    let mut now = system.clone();
    now.allowance.faults = 0;
    let mut actions = Vec::new();
    for _ in 0..MOST_STEPS {
        actions.clear();
        now.list_actions(bounds, &mut actions);
        let next = actions.iter().filter(|action| is_healthy(**action)).find_map(|action| now.after(*action, bounds));
        let Some(next) = next else { return has_ended(&now) };
        now = next;
    }
    false
}

/// What happens by itself. Nobody cancels, nothing fails, nobody is told to stop.
const fn is_healthy(action: Action) -> bool {
    match action {
        Action::Settle(_, _, ending) => matches!(ending, RunEnding::Done),
        Action::Cancel(_)
        | Action::ReadCancelNumber(_)
        | Action::Replay(_)
        | Action::Submit
        | Action::LeaseEnds(_)
        | Action::MailRefused(_) => false,
        action => !action.is_fault(),
    }
}

fn has_ended(system: &System) -> bool {
    system.jobs.iter().all(|job| job.state.is_final())
        && system.deliveries.iter().all(|delivery| delivery.sent && !delivery.sending)
        && system.outbox.0.is_empty()
}
