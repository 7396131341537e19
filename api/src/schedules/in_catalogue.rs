//! What a gateway does about a schedule of the catalogue, given what its own files say and what is in force. Pure.
//!
//! Gateways whose files differ, for the minute of a rollout say, must not put each other's back again and again. So what was never
//! in force before goes into force at once, and what was replaced comes back only when nobody has had what replaced it for a while.

use store::{CatalogueEdition, EDITIONS_KEPT, InForce};

/// What a place says where no file has it.
pub(super) const NOTHING: &str = "";

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CatalogueMove {
    /// It has what is in force, and says so.
    Hold,
    /// It puts its own in force.
    Put,
    /// Others have what replaced its own: theirs stays.
    Wait,
}

/// Decides about one place. `own` is the edition of the gateway's own file.
pub(super) fn decide(own: &str, in_force: &InForce) -> CatalogueMove {
    let known = &in_force.edition.editions;
    if known.first().is_some_and(|first| first == own) {
        return CatalogueMove::Hold;
    }
    let was_replaced = own == NOTHING || known.iter().any(|one| one == own);
    if was_replaced && in_force.is_held { CatalogueMove::Wait } else { CatalogueMove::Put }
}

/// Returns the editions of a place once `own` is in force.
pub(super) fn put_first(own: &str, before: &CatalogueEdition) -> CatalogueEdition {
    let others = before.editions.iter().filter(|one| *one != own).cloned();
    let editions = std::iter::once(own.to_owned()).chain(others).take(EDITIONS_KEPT).collect();
    CatalogueEdition { place: before.place.clone(), editions }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn in_force(editions: &[&str], is_held: bool) -> InForce {
        let place = "sales/monthly".parse().unwrap();
        let editions = editions.iter().map(ToString::to_string).collect();
        let edition = CatalogueEdition { place, editions };
        InForce { id: Uuid::nil(), tenant: "acme".to_owned(), edition, version: 1, is_held, asks_again: false }
    }

    #[test]
    fn what_is_new_is_put_at_once_and_what_was_replaced_waits_until_nobody_has_the_other() {
        for (own, known, is_held, expected) in [
            ("a", &["a", NOTHING][..], true, CatalogueMove::Hold),
            ("a", &["a", NOTHING], false, CatalogueMove::Hold),
            ("b", &["a", NOTHING], true, CatalogueMove::Put),
            ("a", &["b", "a", NOTHING], true, CatalogueMove::Wait),
            ("a", &["b", "a", NOTHING], false, CatalogueMove::Put),
            (NOTHING, &["a", NOTHING], true, CatalogueMove::Wait),
            (NOTHING, &["a"], true, CatalogueMove::Wait),
            (NOTHING, &["a", NOTHING], false, CatalogueMove::Put),
            ("a", &[NOTHING, "a"], true, CatalogueMove::Wait),
            ("b", &[NOTHING, "a"], true, CatalogueMove::Put),
        ] {
            assert_eq!(
                decide(own, &in_force(known, is_held)),
                expected,
                "{own:?} where {known:?} was, held: {is_held}"
            );
        }
    }

    #[test]
    fn gateways_whose_files_differ_change_it_once_and_the_last_files_win() {
        let mut now = in_force(&["old", NOTHING], true);
        let mut changes = 0;
        let mut look = |now: &mut InForce, files: &[&str]| {
            for own in files {
                match decide(own, now) {
                    CatalogueMove::Put => {
                        now.edition = put_first(own, &now.edition);
                        now.is_held = true;
                        changes += 1;
                    }
                    CatalogueMove::Hold => now.is_held = true,
                    CatalogueMove::Wait => {}
                }
            }
            changes
        };
        for _ in 0..100 {
            look(&mut now, &["old", "new", "old"]);
        }
        assert_eq!((look(&mut now, &["new", "new"]), now.edition.editions[0].as_str()), (1, "new"));
        // Rolled back: the last that had the new one is gone, and a minute later nobody holds it.
        assert_eq!(look(&mut now, &["old", "old"]), 1);
        now.is_held = false;
        assert_eq!((look(&mut now, &["old", "old"]), now.edition.editions[0].as_str()), (2, "old"));
    }

    #[test]
    fn of_many_editions_the_newest_are_remembered_each_once() {
        let mut edition = in_force(&[NOTHING], true).edition;
        for number in (0..100).chain([99, 98]) {
            edition = put_first(&number.to_string(), &edition);
        }
        assert_eq!(
            (edition.editions.len(), &edition.editions[..3]),
            (EDITIONS_KEPT, &["98", "99", "97"].map(String::from)[..])
        );
    }
}
