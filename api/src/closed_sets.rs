//! Closed sets of names, as the document of the API shows them: taken from the sets themselves, so that they cannot differ.

use std::borrow::Cow;

use model::artifact::Format;
use model::delivery::Channel;
use model::pause::PauseKind;
use model::refusal::OnRefusal;
use model::schedule::{FiringOutcome, OnEmpty, OnHoliday, Overlap, PauseReason};
use store::Scope;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::schedules::view::{ORIGINS, STATES};

/// What a token may do at most.
pub const TOKEN_SCOPES: [Scope; 2] = [Scope::Read, Scope::Write];

fn one_of(names: impl IntoIterator<Item = &'static str>) -> RefOr<Schema> {
    RefOr::T(Schema::Object(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build()))
}

macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident: $values:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                one_of($values)
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    };
}

closed_set! {
    /// The name of a format.
    FormatName: Format::ALL.map(Format::as_str)
}
closed_set! {
    /// What can be paused.
    PauseKindName: PauseKind::ALL.map(PauseKind::as_str)
}
closed_set! {
    /// The name of a channel.
    ChannelName: Channel::ALL.map(Channel::as_str)
}
closed_set! {
    /// What a token may do.
    TokenScopeName: TOKEN_SCOPES.map(Scope::as_str)
}
closed_set! {
    /// What recipients of a schedule get when there are no rows.
    OnEmptyName: OnEmpty::ALL.map(OnEmpty::as_str)
}
closed_set! {
    /// What becomes of a time on a holiday.
    OnHolidayName: OnHoliday::ALL.map(OnHoliday::as_str)
}
closed_set! {
    /// What becomes of a firing while the job of the one before has not ended.
    OverlapName: Overlap::ALL.map(Overlap::as_str)
}
closed_set! {
    /// Whether a schedule fires.
    ScheduleStateName: STATES
}
closed_set! {
    /// Where a schedule comes from.
    ScheduleOriginName: ORIGINS
}
closed_set! {
    /// Why a schedule is paused.
    PauseReasonName: PauseReason::ALL.map(PauseReason::as_str)
}
closed_set! {
    /// What became of a firing.
    FiringOutcomeName: FiringOutcome::ALL.map(FiringOutcome::as_str)
}
closed_set! {
    /// What becomes of a job when a format cannot hold its rows.
    OnRefusalName: OnRefusal::ALL.map(OnRefusal::as_str)
}
