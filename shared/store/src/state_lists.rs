//! Sets of states as SQL spells them. Each is held against [`Transition`] when this crate is compiled, so that a state that is added or an
//! arrow that is moved cannot leave a statement behind.

use model::job::JobState;
use model::transitions::Transition;

/// States that are not final, as an SQL list: those a cancel may leave.
#[macro_export]
macro_rules! unfinished_states {
    () => {
        "('pending', 'processing', 'retrying')"
    };
}

/// States of jobs that wait for a worker, as an SQL list: those a claim may leave.
#[macro_export]
macro_rules! waiting_states {
    () => {
        "('pending', 'retrying')"
    };
}

/// States whose recipients are told, as an SQL list: those an attempt ends in for good.
#[macro_export]
macro_rules! ended_states {
    () => {
        "('done', 'failed')"
    };
}

const _: () = assert!(spells(unfinished_states!(), Transition::Cancel.from()));
const _: () = assert!(spells(waiting_states!(), Transition::Claim.from()));
const _: () = assert!(spells(ended_states!(), &[Transition::Finish.to(), Transition::Fail.to()]));

/// Tells whether an SQL list holds exactly these states, in their order.
const fn spells(list: &str, states: &[JobState]) -> bool {
    let mut rest = list.as_bytes();
    let mut next = 0;
    while next < states.len() {
        let opening: &[u8] = if next == 0 { b"('" } else { b", '" };
        let Some(after) = strip(rest, opening) else { return false };
        let Some(after) = strip(after, states[next].as_str().as_bytes()) else { return false };
        let Some(after) = strip(after, b"'") else { return false };
        rest = after;
        next += 1;
    }
    matches!(rest, b")")
}

const fn strip<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let Some((head, tail)) = text.split_at_checked(prefix.len()) else { return None };
    let mut at = 0;
    while at < prefix.len() {
        if head[at] != prefix[at] {
            return None;
        }
        at += 1;
    }
    Some(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_other_states_is_told() {
        let states = [JobState::Done, JobState::Failed];
        assert!(spells("('done', 'failed')", &states));
        for wrong in ["('done')", "('failed', 'done')", "('done', 'failed', 'pending')", "('done', 'faild')", ""] {
            assert!(!spells(wrong, &states), "{wrong}");
        }
    }
}
