//! What the people of a schedule are told.

use chrono::NaiveDateTime;

use model::schedule::{NewNotice, NoticeKind, NoticeText, PauseReason, Schedule, write_nominal};

/// Says that a schedule is paused.
#[must_use]
pub fn paused_notice(schedule: &Schedule, why: PauseReason) -> NewNotice {
    let text = NoticeText { why: Some(why.as_str().to_owned()), ..notice_text(schedule, None, None, 0, None) };
    NewNotice { kind: NoticeKind::Paused, text, to: schedule.settings.alerted().to_vec() }
}

/// Says that a schedule has sent nothing.
#[must_use]
pub fn silent_notice(schedule: &Schedule) -> NewNotice {
    let text = notice_text(schedule, None, None, 0, None);
    NewNotice { kind: NoticeKind::Silent, text, to: schedule.settings.alerted().to_vec() }
}

/// Says that nominal times were missed, or that the event of a schedule that waits for one did not come by then: the first of them, the
/// last, and how many.
#[must_use]
pub fn missed_notice(schedule: &Schedule, (from, until, count): (NaiveDateTime, NaiveDateTime, u32)) -> NewNotice {
    let text = notice_text(schedule, Some(from), Some(until), count, None);
    let text = NoticeText { no_event: schedule.settings.is_by_event(), ..text };
    NewNotice { kind: NoticeKind::Missed, text, to: schedule.settings.alerted().to_vec() }
}

/// Says what a notice about these nominal times says.
#[must_use]
pub fn notice_text(
    schedule: &Schedule,
    from: Option<NaiveDateTime>,
    until: Option<NaiveDateTime>,
    count: u32,
    why: Option<String>,
) -> NoticeText {
    let settings = &schedule.settings;
    NoticeText {
        title: settings.title.clone().unwrap_or_else(|| settings.report.clone()),
        from: from.map(write_nominal),
        until: until.map(write_nominal),
        count,
        why,
        no_event: false,
    }
}
