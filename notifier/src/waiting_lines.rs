//! Where deliveries wait that go to one recipient: behind each other, and behind nobody else's.
//!
//! A line is memory and nothing more: what waits in it was not claimed, and the sweeper rings again for what is lost with it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

/// Longer lines are not kept: the sweeper rings for the rest.
const LONGEST: usize = 10_000;

/// The lines of all recipients.
#[derive(Debug, Default, Clone)]
pub(crate) struct WaitingLines(Arc<Mutex<HashMap<String, WaitingLine>>>);

#[derive(Debug, Default)]
struct WaitingLine {
    /// Places that are taken.
    taken: u16,
    waiting: VecDeque<Uuid>,
    /// The same, to be found: the sweeper rings for what waits too.
    known: HashSet<Uuid>,
}

impl WaitingLine {
    fn pop(&mut self) -> Option<Uuid> {
        let next = self.waiting.pop_front()?;
        self.known.remove(&next);
        Some(next)
    }
}

/// A place from which one delivery after the other is sent. Free again when dropped.
#[derive(Debug)]
pub(crate) struct LinePlace {
    lines: WaitingLines,
    recipient: String,
    is_free: bool,
}

impl WaitingLines {
    /// Has a delivery wait for its recipient. Returns one of the `places`, if one is free, and the delivery whose turn it is.
    pub(crate) fn enter(&self, recipient: &str, places: u16, id: Uuid) -> Option<(LinePlace, Uuid)> {
        let mut lines = self.0.lock();
        let line = lines.entry(recipient.to_owned()).or_default();
        if line.waiting.len() < LONGEST && line.known.insert(id) {
            line.waiting.push_back(id);
        }
        if line.taken >= places.max(1) {
            return None;
        }
        let next = line.pop()?;
        line.taken += 1;
        Some((LinePlace { lines: self.clone(), recipient: recipient.to_owned(), is_free: false }, next))
    }
}

impl LinePlace {
    /// Takes the next delivery of the line, or is free: at once, so that whoever comes meanwhile finds the one or the other.
    pub(crate) fn next(mut self) -> Option<(Self, Uuid)> {
        let mut lines = self.lines.0.lock();
        if let Some(next) = lines.get_mut(&self.recipient).and_then(WaitingLine::pop) {
            drop(lines);
            return Some((self, next));
        }
        free(&mut lines, &self.recipient);
        drop(lines);
        self.is_free = true;
        None
    }
}

fn free(lines: &mut HashMap<String, WaitingLine>, recipient: &str) {
    let Some(line) = lines.get_mut(recipient) else { return };
    line.taken = line.taken.saturating_sub(1);
    if line.taken == 0 && line.waiting.is_empty() {
        lines.remove(recipient);
    }
}

impl Drop for LinePlace {
    fn drop(&mut self) {
        if !self.is_free {
            free(&mut self.lines.0.lock(), &self.recipient);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_recipient_has_places_of_its_own_and_a_line_without_doubles() {
        let lines = WaitingLines::default();
        let ids: Vec<Uuid> = (0..5).map(Uuid::from_u128).collect();
        let (first, began) = lines.enter("erp", 2, ids[0]).unwrap();
        assert_eq!(began, ids[0]);
        let (second, _) = lines.enter("erp", 2, ids[1]).unwrap();
        for id in [ids[2], ids[3], ids[2]] {
            assert!(lines.enter("erp", 2, id).is_none());
        }
        assert_eq!(lines.enter("wms", 2, ids[4]).map(|(_, id)| id), Some(ids[4]), "nobody waits for another's");
        let (first, third) = first.next().unwrap();
        let (second, fourth) = second.next().unwrap();
        assert_eq!((third, fourth), (ids[2], ids[3]));
        assert!(first.next().is_none(), "the line is empty, and the place is free");
        assert_eq!(lines.enter("erp", 2, ids[0]).map(|(_, id)| id), Some(ids[0]));
        drop(second);
        assert_eq!(lines.0.lock().len(), 0, "what is over takes no memory");
    }
}
