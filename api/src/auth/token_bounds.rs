//! What a token keeps its holder to. Whoever came by a key or a session is kept to nothing.

use model::job::Params;
use model::problem::{FieldError, pointer_part};
use report::{ReportDefinition, validate_params};
use serde_json::{Map, Value};
use store::TokenBounds;

use super::Identity;

impl Identity {
    /// Returns what they are bound to, if they hold a token.
    #[must_use]
    pub fn bounds(&self) -> Option<&TokenBounds> {
        self.credential().token().map(|token| &token.bounds)
    }

    /// Tells whether they may run a report, and know that there is one.
    #[must_use]
    pub fn may_run(&self, report: &str) -> bool {
        let reports = self.bounds().and_then(|bounds| bounds.reports.as_ref());
        reports.is_none_or(|reports| reports.iter().any(|name| name == report))
    }

    /// Returns the rules that all have to let mail go to a recipient.
    #[must_use]
    pub fn recipient_rules<'a>(&'a self, service: &'a [String]) -> Vec<&'a [String]> {
        let own = self.bounds().map(|bounds| bounds.recipients.as_slice());
        std::iter::once(service).chain(own).collect()
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
