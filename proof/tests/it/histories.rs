//! Every history within small bounds keeps every property; with two cores, in seconds here and in minutes where it is ignored.

use proof::Bounds;

use crate::checked_system::assert_all_hold;

const ONE_JOB: Bounds = Bounds { bad_ends: 1, hand_backs: 1, cancels: 1, ..Bounds::CALM };

#[test]
fn one_job_survives_every_two_faults() {
    assert_all_hold("one job", Bounds { faults: 2, ..ONE_JOB }, &["a job is done at its first attempt"]);
}
