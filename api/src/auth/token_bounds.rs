//! What a token keeps its holder to, and the one gate to reports. Whoever came by a key or a session is kept to what their roles and the
//! report say.

use model::access::hash_run;
use model::job::{Caller, Params};
use model::problem::{FieldError, pointer_part};
use model::report_pattern::ReportPattern;
use report::{ReportDefinition, Viewer, validate_params};
use serde_json::{Map, Value};
use store::TokenBounds;

use super::Identity;
use crate::recipients::{RecipientRules, ServiceRecipients};

/// Who asks, their roles, and what those let see.
pub(super) type Onlooker<'a> = (&'a Caller, &'a [String], Option<&'a [ReportPattern]>);

/// Tells whether somebody may know of a report.
pub(super) fn sees((caller, roles, reports): Onlooker<'_>, report: &str, viewers: Option<&[Viewer]>) -> bool {
    reports.is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(report)))
        && viewers.is_none_or(|viewers| viewers.iter().any(|viewer| viewer.is(caller, roles)))
}

impl Identity {
    /// Returns what they are bound to, if they hold a token.
    #[must_use]
    pub fn bounds(&self) -> Option<&TokenBounds> {
        self.credential().token().map(|token| &token.bounds)
    }

    /// Tells whether they may run a report, and know that there is one.
    #[must_use]
    pub fn may_run(&self, report: &ReportDefinition) -> bool {
        self.may_see(&report.name, report.visible_to.as_deref())
    }

    /// Tells whether they may know of a report that only these may see, where it says so: their token, their roles and the report
    /// itself have to let them.
    #[must_use]
    pub fn may_see(&self, report: &str, viewers: Option<&[Viewer]>) -> bool {
        let reports = self.bounds().and_then(|bounds| bounds.reports.as_ref());
        reports.is_none_or(|reports| reports.iter().any(|name| name == report))
            && sees(self.onlooker_as(self), report, viewers)
    }

    /// Tells whether a token of theirs lets somebody know of a report.
    #[must_use]
    pub fn may_let_see(&self, holder: &Caller, report: &ReportDefinition) -> bool {
        sees(self.onlooker_as(holder), &report.name, report.visible_to.as_deref())
    }

    fn onlooker_as<'a>(&'a self, caller: &'a Caller) -> Onlooker<'a> {
        (caller, self.roles(), self.0.reports.as_deref())
    }

    /// Tells whether there may be reports or jobs of theirs that they may not see, whatever the reports themselves say.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.bounds().is_some() || self.0.reports.is_some()
    }

    /// Names what they may see besides by their name: the same for all with the same token's bounds and the same roles.
    #[must_use]
    pub fn view_fingerprint(&self) -> Option<String> {
        let bounds = self.bounds().map(TokenBounds::fingerprint);
        let known = serde_json::to_string(self.attributes()).ok().filter(|_| !self.attributes().is_empty());
        if self.roles().is_empty() && self.0.reports.is_none() && (known.is_none() || bounds.is_some()) {
            return bounds;
        }
        let patterns = self.0.reports.iter().flatten().map(ReportPattern::as_str);
        let roles = self.roles().iter().map(String::as_str).chain(std::iter::once("*")).chain(patterns);
        let hash = hash_run(bounds.as_deref().into_iter().chain(known.as_deref()).chain(roles), &Params::new());
        Some(hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Returns what says to whom a job of theirs may have something sent.
    #[must_use]
    pub fn recipient_rules<'a>(&'a self, service: &'a ServiceRecipients) -> RecipientRules<'a> {
        RecipientRules {
            service,
            tenant: &self.tenant,
            token: self.bounds().map(|bounds| bounds.recipients.as_slice()),
        }
    }

    /// Puts the fixed parameters beside those that were given. They can neither be changed nor be left out: a report that does not
    /// take them would show what they are to hide.
    pub fn fix_params(&self, report: &ReportDefinition, given: &mut Params, errors: &mut Vec<FieldError>) {
        for (name, fixed) in self.bounds().into_iter().flat_map(|bounds| &bounds.params) {
            let detail = if report.params.iter().all(|spec| spec.name != *name) {
                let detail =
                    format!("does not take the parameter `{name}`, which your token fixes; ask for another token");
                errors.push(FieldError { pointer: "/report".to_owned(), detail });
                continue;
            } else if given.contains_key(name) {
                "is fixed by your token; leave it out"
            } else {
                given.insert(name.clone(), fixed.clone());
                continue;
            };
            errors.push(FieldError { pointer: format!("/params/{}", pointer_part(name)), detail: detail.to_owned() });
        }
    }

    /// Removes the fixed parameters from the schema of a report's parameters: they are not for the holder to give.
    pub fn hide_fixed(&self, schema: &mut Value) {
        let Some(bounds) = self.bounds() else { return };
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.retain(|name, _| !bounds.params.contains_key(name));
        }
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| name.as_str().is_none_or(|name| !bounds.params.contains_key(name)));
        }
    }

    /// Tells whether the parameters of a job are those that are fixed, as the definition that it was submitted with reads them.
    #[must_use]
    pub fn has_fixed(&self, params: &Params, definition: &ReportDefinition) -> bool {
        let Some(bounds) = self.bounds() else { return true };
        let given = params.iter().filter(|(_, value)| !value.is_null());
        let mut asked: Map<_, _> = given.map(|(name, value)| (name.clone(), value.clone())).collect();
        asked.extend(bounds.params.clone());
        validate_params(definition, &asked).is_ok_and(|asked| asked == *params)
    }
}
