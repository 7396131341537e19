//! Faults that could have been built into the product. The checker has to find each.

/// One guard, order or rule that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mutation {
    /// A settlement is taken from anybody while the job is `processing`: neither worker nor attempt is compared.
    FenceRemoved,
    /// A settlement is guarded by state and worker, not by attempt.
    SettleWithoutAttempt,
    /// A claim takes a job in whatever state it is.
    ClaimWithoutStateGuard,
    /// A cancel changes the state and leaves the attempt that runs its right to settle.
    CancelDoesNotFence,
    /// The sweeper takes jobs from workers without looking whether they live.
    SweepWithoutLiveness,
    /// Nobody takes jobs from workers that are gone.
    NobodySweeps,
    /// The sweeper does not ring again for jobs whose doorbells were lost.
    NobodyRingsAgain,
    /// The relay deletes an outbox row when it has sent it, and does not wait for the confirm.
    OutboxDeletedBeforeConfirm,
    /// A failure is committed without the outbox row of its dead letter, which is written afterwards.
    DeadLetterAfterCommit,
    /// The number of a cancel's event is read before the row is locked.
    EventNumberedWithoutLock,
    /// Followers are given `done` as soon as their leader runs.
    FollowersReleasedEarly,
    /// Identical submits do not wait for each other, and none sees the others.
    IdenticalSubmitsTakeNoTurns,
    /// A cancel ends a run that others wait for.
    CancelForgetsFollowers,
    /// Files are named by job and not by attempt.
    FileOverwrittenInPlace,
    /// The worker commits `done` before its file is stored.
    DoneBeforeStored,
    /// Files without a row are swept also while their attempt runs.
    SweptWhileRunning,
    /// A worker whose settlement was answered too late deletes its file without asking whether it won.
    DiscardedInDoubt,
    /// A job with two crashes runs beside others.
    PoisonRunsBesideOthers,
    /// A delivery is claimed in whatever state it is.
    DeliveryClaimedWithoutGuard,
    /// The end of a delivery is taken from anybody who once claimed it.
    DeliverySettledWithoutToken,
    /// A worker that was taken for dead goes on claiming without registering again.
    UnregisteredClaims,
    /// A claim whose answer was lost is never handed back.
    StraysAreKept,
}

impl Mutation {
    /// Every one.
    pub const ALL: [Self; 22] = [
        Self::FenceRemoved,
        Self::SettleWithoutAttempt,
        Self::ClaimWithoutStateGuard,
        Self::CancelDoesNotFence,
        Self::SweepWithoutLiveness,
        Self::NobodySweeps,
        Self::NobodyRingsAgain,
        Self::OutboxDeletedBeforeConfirm,
        Self::DeadLetterAfterCommit,
        Self::EventNumberedWithoutLock,
        Self::FollowersReleasedEarly,
        Self::IdenticalSubmitsTakeNoTurns,
        Self::CancelForgetsFollowers,
        Self::FileOverwrittenInPlace,
        Self::DoneBeforeStored,
        Self::SweptWhileRunning,
        Self::DiscardedInDoubt,
        Self::PoisonRunsBesideOthers,
        Self::DeliveryClaimedWithoutGuard,
        Self::DeliverySettledWithoutToken,
        Self::UnregisteredClaims,
        Self::StraysAreKept,
    ];
}
