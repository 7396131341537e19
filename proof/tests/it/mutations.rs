//! Each fault that could have been built in breaks the property that is named for it, within these bounds.

use proof::{Bounds, Mutation};

use crate::checked_system::find_break;

const COVERED: &str = "every job that is not final is covered";
const ENDS_WELL: &str = "from everywhere all ends well once nothing more goes wrong";
const OUTBOX: &str = "a row leaves the outbox for the broker only";
const HOLDER: &str = "only the attempt that holds a job changes it";
const EVENTS: &str = "events are numbered without gap and lead along the arrows";
const FILE: &str = "done means that the file is there and is the right one";
const OVERWRITTEN: &str = "no file is overwritten";
const CANCELLED: &str = "after a cancel come no event and no mail of success";
const CRASHES: &str = "only a lost worker costs a crash";
const NEIGHBOURS: &str = "no job fails by the loss of a worker that ran others";
const ONE_MAIL: &str = "one mail, and another only where a notifier was lost before it could say so";
const ONE_RUN: &str = "identical jobs have one run";

const QUICK: Bounds = Bounds { recovery: false, ..Bounds::CALM };
const FAULTY: Bounds = Bounds { faults: 2, ..QUICK };
const MAILS: Bounds = Bounds { notifiers: 2, ..QUICK };
const IDENTICAL: Bounds = Bounds { plain_jobs: 0, reusing_jobs: 2, ..QUICK };

/// The product as it is keeps the property within these bounds, and as it was mutated it does not.
#[track_caller]
fn assert_found(mutation: Mutation, bounds: Bounds, property: &'static str) {
    assert_eq!(find_break(bounds, property), None, "the product as it is breaks: {property}");
    assert_broken(mutation, bounds, property);
}

/// The same, where `histories` has looked at the product as it is.
#[track_caller]
fn assert_broken(mutation: Mutation, bounds: Bounds, property: &'static str) {
    let Some(steps) = find_break(bounds.with(mutation), property) else {
        panic!("{mutation:?} is not found: {property}")
    };
    println!("{mutation:?}: {} steps, not so: {property}", steps.len());
    for (at, step) in steps.iter().enumerate() {
        println!("{:3}  {step:?}", at + 1);
    }
}

#[test]
fn a_fence_that_was_removed_is_found() {
    assert_found(Mutation::FenceRemoved, FAULTY, HOLDER);
}

#[test]
fn a_settlement_that_is_not_guarded_by_its_attempt_is_found() {
    let bounds = Bounds { workers: 1, concurrency: 2, bad_ends: 1, ..FAULTY };
    assert_found(Mutation::SettleWithoutAttempt, bounds, HOLDER);
}

#[test]
fn a_claim_that_looks_at_no_state_is_found() {
    assert_found(Mutation::ClaimWithoutStateGuard, Bounds { faults: 1, ..QUICK }, EVENTS);
}

#[test]
fn a_cancel_that_does_not_fence_is_found() {
    assert_found(Mutation::CancelDoesNotFence, Bounds { cancels: 1, ..QUICK }, CANCELLED);
}

#[test]
fn a_sweep_that_looks_at_no_liveness_is_found() {
    assert_found(Mutation::SweepWithoutLiveness, QUICK, CRASHES);
}

#[test]
fn a_sweeper_that_takes_nothing_from_lost_workers_is_found() {
    assert_found(Mutation::NobodySweeps, Bounds { workers: 1, recovery: true, ..FAULTY }, ENDS_WELL);
}

#[test]
fn a_sweeper_that_does_not_ring_again_is_found() {
    assert_found(Mutation::NobodyRingsAgain, Bounds { workers: 1, recovery: true, ..FAULTY }, ENDS_WELL);
}

#[test]
fn a_row_that_is_deleted_before_the_confirm_is_found() {
    assert_found(Mutation::OutboxDeletedBeforeConfirm, Bounds { faults: 1, ..QUICK }, OUTBOX);
}

#[test]
fn a_dead_letter_that_is_written_after_the_commit_is_found() {
    let bounds = Bounds { workers: 1, bad_ends: 1, faults: 1, ..MAILS };
    assert_found(Mutation::DeadLetterAfterCommit, bounds, OUTBOX);
}

#[test]
fn an_event_that_is_numbered_without_lock_is_found() {
    assert_found(Mutation::EventNumberedWithoutLock, Bounds { cancels: 1, ..QUICK }, EVENTS);
}

#[test]
fn followers_that_are_released_before_their_leader_is_done_are_found() {
    assert_found(Mutation::FollowersReleasedEarly, IDENTICAL, FILE);
}

#[test]
fn identical_submits_that_take_no_turns_are_found() {
    assert_found(Mutation::IdenticalSubmitsTakeNoTurns, IDENTICAL, ONE_RUN);
}

#[test]
fn a_cancel_that_forgets_followers_is_found() {
    assert_found(Mutation::CancelForgetsFollowers, Bounds { cancels: 1, ..IDENTICAL }, COVERED);
}

#[test]
fn a_file_that_is_overwritten_in_place_is_found() {
    assert_found(Mutation::FileOverwrittenInPlace, FAULTY, FILE);
    assert_found(Mutation::FileOverwrittenInPlace, FAULTY, OVERWRITTEN);
}

#[test]
fn a_job_that_is_done_before_its_file_is_stored_is_found() {
    assert_found(Mutation::DoneBeforeStored, QUICK, FILE);
}

#[test]
fn a_file_that_is_swept_while_its_attempt_runs_is_found() {
    assert_found(Mutation::SweptWhileRunning, QUICK, FILE);
}

#[test]
fn a_file_that_is_discarded_in_doubt_is_found() {
    assert_found(Mutation::DiscardedInDoubt, Bounds { faults: 1, ..QUICK }, FILE);
}

#[test]
fn a_poison_job_that_runs_beside_others_is_found() {
    let bounds = Bounds { plain_jobs: 2, workers: 1, concurrency: 2, faults: 3, ..QUICK };
    assert_broken(Mutation::PoisonRunsBesideOthers, bounds, NEIGHBOURS);
}

#[test]
fn a_delivery_that_is_claimed_in_any_state_is_found() {
    assert_found(Mutation::DeliveryClaimedWithoutGuard, Bounds { workers: 1, faults: 1, ..MAILS }, ONE_MAIL);
}

#[test]
fn a_delivery_that_is_settled_without_its_token_is_found() {
    assert_found(
        Mutation::DeliverySettledWithoutToken,
        Bounds { workers: 1, bad_ends: 1, faults: 1, ..MAILS },
        ONE_MAIL,
    );
}

#[test]
fn a_claim_of_a_worker_that_has_no_row_is_found() {
    assert_found(Mutation::UnregisteredClaims, FAULTY, COVERED);
}

#[test]
fn a_claim_that_nobody_knows_of_and_nobody_gives_back_is_found() {
    assert_found(Mutation::StraysAreKept, Bounds { workers: 1, faults: 1, recovery: true, ..QUICK }, ENDS_WELL);
}

#[test]
fn every_mutation_has_its_test() {
    for mutation in Mutation::ALL {
        assert!(include_str!("mutations.rs").contains(&format!("Mutation::{mutation:?},")), "{mutation:?}");
    }
}
