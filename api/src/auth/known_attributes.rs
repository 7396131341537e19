//! What is known of whoever asks, held against what reports want to know and against what jobs ran with.

use model::attributes::Attributes;
use model::problem::FieldError;
use report::{ReportDefinition, UnreadAttribute, attributes_read, check_attributes};

use super::Identity;
use super::credential::Means;

impl Identity {
    /// Tells whether there may be jobs of their own name that are not for them. An API key of which nothing is known, and a browser that
    /// signed in with one, sees all of its principal's; whoever else asks sees what they could have submitted.
    #[must_use]
    pub fn is_confined(&self) -> bool {
        !matches!(self.credential().means, Means::Key | Means::Session(_)) || !self.attributes().is_empty()
    }

    /// Notes which attributes a report reads that their credentials do not say, or say as something else.
    pub fn check_known(&self, report: &ReportDefinition, errors: &mut Vec<FieldError>) {
        let unread = check_attributes(report, self.attributes()).err().unwrap_or_default();
        errors.extend(unread.into_iter().map(|unread| {
            let UnreadAttribute { name, is_there, expected } = unread;
            let said = if is_there { "say it as something else" } else { "do not say it" };
            let detail = format!(
                "needs the attribute `{name}` of whoever asks, {expected}, and your credentials {said}; ask those who gave them to you"
            );
            FieldError { pointer: "/report".to_owned(), detail }
        }));
    }

    /// Tells whether the rows of a job that ran with these attributes are what they would get themselves.
    #[must_use]
    pub fn would_read_as(&self, report: &ReportDefinition, attributes: &Attributes) -> bool {
        attributes_read(report, self.attributes()) == attributes_read(report, attributes)
    }
}
