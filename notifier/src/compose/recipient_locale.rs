//! The language and clock of one recipient.

use std::ops::Deref;

use model::locale::Localizer;

use super::messages::Messages;

/// What is written to one recipient is written by this: their texts, their numbers, sizes and times.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecipientLocale<'a> {
    pub(super) t: &'a Messages,
    pub(super) localizer: Localizer<'a>,
}

impl<'a> Deref for RecipientLocale<'a> {
    type Target = Localizer<'a>;

    fn deref(&self) -> &Localizer<'a> {
        &self.localizer
    }
}
