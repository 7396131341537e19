//! Notifiers: a delivery is claimed, handed to the mail server, and ended.

use model::job::JobState;

use crate::system::{NotifierProcess, QueuedMessage};
use crate::{Action, Bounds, Doorbell, Mutation, System};

impl System {
    pub(crate) fn notifiers_work(&mut self, action: Action, bounds: &Bounds) -> Option<()> {
        match action {
            Action::ClaimDelivery(notifier, message) => {
                let QueuedMessage { doorbell: Doorbell::SendDelivery(at), .. } =
                    self.queue.remove(usize::from(message))
                else {
                    return None;
                };
                let is_unguarded = bounds.is(Mutation::DeliveryClaimedWithoutGuard);
                let row = self.delivery_mut(at);
                let is_due = !row.sent && (!row.sending || row.lease_over);
                if is_due || is_unguarded {
                    row.attempt += 1;
                    (row.sending, row.lease_over) = (true, false);
                    let attempt = row.attempt;
                    self.notifiers[usize::from(notifier)].holds = Some((at, attempt, false));
                }
            }
            Action::SendMail(notifier) => {
                let (at, attempt, _) = self.notifiers[usize::from(notifier)].holds?;
                self.notifiers[usize::from(notifier)].holds = Some((at, attempt, true));
                let row = self.delivery_mut(at);
                row.mails += 1;
                let is_holder = row.sending && row.attempt == attempt && !row.lease_over;
                row.windows += u8::from(!is_holder);
                let (job, of_success) = (row.job, row.of_success);
                self.sightings.mail_after_cancel |= of_success && self.job(job).seen_state() == JobState::Cancelled;
            }
            Action::SettleDelivery(notifier) => {
                let (at, attempt, _) = self.notifiers[usize::from(notifier)].holds.take()?;
                let is_unguarded = bounds.is(Mutation::DeliverySettledWithoutToken);
                let row = self.delivery_mut(at);
                if row.sending && (row.attempt == attempt || is_unguarded) {
                    (row.sending, row.sent, row.lease_over) = (false, true, false);
                }
            }
            Action::MailRefused(notifier) => {
                self.allowance.bad_ends = self.allowance.bad_ends.checked_sub(1)?;
                let (at, attempt, _) = self.notifiers[usize::from(notifier)].holds.take()?;
                let is_unguarded = bounds.is(Mutation::DeliverySettledWithoutToken);
                let row = self.delivery_mut(at);
                if row.sending && (row.attempt == attempt || is_unguarded) {
                    (row.sending, row.lease_over) = (false, false);
                    self.outbox.put(Doorbell::SendDelivery(at));
                }
            }
            Action::KillNotifier(notifier) => {
                let NotifierProcess { holds } = &mut self.notifiers[usize::from(notifier)];
                let (at, attempt, was_sent) = holds.take()?;
                self.enqueue(Doorbell::SendDelivery(at), true);
                self.end_lease(at, attempt, was_sent);
            }
            Action::DeliveryLeaseEnds(notifier) => {
                let (at, attempt, was_sent) = self.notifiers[usize::from(notifier)].holds?;
                self.end_lease(at, attempt, was_sent);
            }
            _ => return None,
        }
        Some(())
    }

    fn end_lease(&mut self, delivery: u8, attempt: u8, was_sent: bool) {
        let row = self.delivery_mut(delivery);
        if row.sending && row.attempt == attempt && !row.lease_over {
            row.lease_over = true;
            row.windows += u8::from(was_sent);
        }
    }
}
