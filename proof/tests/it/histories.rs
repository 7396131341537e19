//! Every history within small bounds keeps every property: in seconds here, and in minutes where `make proof` asks for them.

use proof::Bounds;

use crate::checked_system::assert_all_hold;

const DONE: &str = "a job is done at its first attempt";
const DONE_AFTER_A_LOSS: &str = "a job is done after its worker was lost";
const FORGIVEN: &str = "a loss is forgiven";
const TWO_ATTEMPTS: &str = "two workers run attempts of one job";
const CANCELLED: &str = "a job is cancelled while it runs";
const FAILED_BY_CRASHES: &str = "a job fails by crashes";
const FOLLOWER_DONE: &str = "a follower is done";
const WITHDRAWN: &str = "a run goes on that was withdrawn";
const MAIL_TWICE: &str = "a mail is sent twice";

const ONE_JOB: Bounds = Bounds { bad_ends: 1, hand_backs: 1, cancels: 1, ..Bounds::CALM };
const TWO_JOBS: Bounds = Bounds { plain_jobs: 2, ..ONE_JOB };
const IDENTICAL: Bounds = Bounds { plain_jobs: 0, reusing_jobs: 2, bad_ends: 1, cancels: 1, ..Bounds::CALM };
const TOLD: Bounds = Bounds { workers: 1, notifiers: 2, bad_ends: 1, ..Bounds::CALM };
const POISON: Bounds = Bounds { plain_jobs: 2, workers: 1, concurrency: 2, recovery: false, ..Bounds::CALM };

#[test]
fn one_job_keeps_everything_through_any_two_faults() {
    let seen = [DONE, DONE_AFTER_A_LOSS, FORGIVEN, TWO_ATTEMPTS, CANCELLED];
    assert_all_hold("one job, two faults", Bounds { faults: 2, ..ONE_JOB }, &seen);
}

#[test]
fn two_jobs_keep_everything_through_any_fault() {
    assert_all_hold("two jobs, one fault", Bounds { faults: 1, ..TWO_JOBS }, &[DONE, TWO_ATTEMPTS, CANCELLED]);
}

#[test]
fn identical_jobs_keep_everything_through_any_fault() {
    assert_all_hold("two identical jobs, one fault", Bounds { faults: 1, ..IDENTICAL }, &[FOLLOWER_DONE, WITHDRAWN]);
}

#[test]
fn mails_keep_everything_through_any_two_faults() {
    assert_all_hold("one job and its mail, two faults", Bounds { faults: 2, ..TOLD }, &[DONE, MAIL_TWICE]);
}

#[test]
#[ignore = "minutes: make proof"]
fn one_job_keeps_everything_through_any_three_faults_and_a_replay() {
    let bounds = Bounds { faults: 3, replays: 1, ..ONE_JOB };
    assert_all_hold(
        "one job, three faults",
        bounds,
        &[DONE, DONE_AFTER_A_LOSS, FORGIVEN, TWO_ATTEMPTS, FAILED_BY_CRASHES],
    );
}

#[test]
#[ignore = "minutes: make proof"]
fn two_jobs_keep_everything_through_any_two_faults() {
    assert_all_hold(
        "two jobs, two faults",
        Bounds { faults: 2, ..TWO_JOBS },
        &[DONE, FORGIVEN, TWO_ATTEMPTS, CANCELLED],
    );
}

#[test]
#[ignore = "minutes: make proof"]
fn three_identical_jobs_keep_everything_through_any_fault() {
    let bounds = Bounds { reusing_jobs: 3, cancels: 2, replays: 1, faults: 1, ..IDENTICAL };
    assert_all_hold("three identical jobs, one fault", bounds, &[FOLLOWER_DONE, WITHDRAWN]);
}

#[test]
#[ignore = "minutes: make proof"]
fn a_poison_job_costs_its_neighbour_nothing_through_any_three_faults() {
    assert_all_hold("a poison job and its neighbour", Bounds { faults: 3, ..POISON }, &[DONE, FAILED_BY_CRASHES]);
}

#[test]
#[ignore = "minutes: make proof"]
fn mails_keep_everything_through_any_two_faults_a_cancel_and_a_replay() {
    let bounds = Bounds { faults: 2, replays: 1, bad_ends: 2, cancels: 1, ..TOLD };
    assert_all_hold("one job and its mails, replayed and cancelled", bounds, &[DONE, CANCELLED, MAIL_TWICE]);
}
