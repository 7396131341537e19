//! What the people of a schedule are told beside its reports, in words.

use model::schedule::{Notice, NoticeKind, PauseReason, read_nominal};
use serde::Serialize;

use super::messages::{Messages, fill};
use super::recipient_locale::RecipientLocale;
use super::single_line::single_line;

/// What one recipient is told of a schedule, in their language. Every text in it is one line without control characters, and none is
/// markup.
#[derive(Debug, Clone, Serialize)]
pub struct NoticeContent<'a> {
    /// The catalogue of the recipient's language.
    t: &'a Messages,
    /// What it is about, for a subject line.
    pub subject: String,
    /// What a list shows beside the subject, and what the mail says.
    pub preview: String,
    /// What people call the schedule.
    pub title: String,
    /// Why, where there is something to say: in their language for what the service did itself, else for those who look after it.
    pub why: String,
    /// The schedule's id.
    pub schedule_id: String,
}

impl<'a> NoticeContent<'a> {
    /// Returns the language it is in, as a BCP 47 tag.
    #[must_use]
    pub fn language(&self) -> &'a str {
        &self.t.lang
    }

    pub(super) fn of(notice: &Notice, locale: RecipientLocale<'a>) -> Self {
        let (texts, text) = (&locale.t.notice, &notice.text);
        let (subject, said) = match notice.kind {
            NoticeKind::Failed => (&texts.failed_subject, &texts.failed_text),
            NoticeKind::Missed if text.no_event => (&texts.awaited_subject, &texts.awaited_text),
            NoticeKind::Missed => (&texts.missed_subject, &texts.missed_text),
            NoticeKind::Refused => (&texts.refused_subject, &texts.refused_text),
            NoticeKind::Silent => (&texts.silent_subject, &texts.silent_text),
            NoticeKind::Paused => (&texts.paused_subject, &texts.paused_text),
        };
        let why = match text.why.as_deref().map(|why| (why, why.parse::<PauseReason>())) {
            None => String::new(),
            Some((_, Ok(PauseReason::Asked))) => texts.why_asked.clone(),
            Some((_, Ok(PauseReason::Failures))) => texts.why_failures.clone(),
            Some((_, Ok(PauseReason::OwnerGone))) => texts.why_owner_gone.clone(),
            Some((why, Err(_))) => single_line(why, 600),
        };
        let time = |nominal: Option<&String>| match nominal {
            // The clock that the schedule goes by, whatever the reader's shows: it is how the firing is called.
            Some(text) => read_nominal(text)
                .map_or_else(|_| single_line(text, 40), |time| time.format("%Y-%m-%d %H:%M").to_string()),
            None => texts.by_request.clone(),
        };
        let title = single_line(&text.title, 120);
        let (from, until, count) = (time(text.from.as_ref()), time(text.until.as_ref()), text.count.to_string());
        Self {
            t: locale.t,
            subject: fill(subject, &[("title", &title)]),
            preview: fill(said, &[("from", &from), ("until", &until), ("count", &count)]),
            title,
            why,
            schedule_id: notice.schedule_id.to_string(),
        }
    }
}
