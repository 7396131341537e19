//! What a source's database is told of whoever asks, so that its own policies can limit the rows.

use model::attributes::Attributes;
use model::job::Caller;
use model::problem::{Problem, ProblemKind};
use serde_json::Value;

/// How a source says who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowSecurity {
    role: RoleChoice,
}

/// The role of the database that queries run as.
#[derive(Debug, Clone, PartialEq, Eq)]
enum RoleChoice {
    /// That of the source's url.
    Login,
    Named(String),
    /// What the attribute says, if it is one of these.
    OfAttribute {
        name: String,
        roles: Vec<String>,
    },
}

/// What the database is told for one read. `Debug` tells no attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) caller: Caller,
    pub(crate) attributes: Attributes,
    pub(crate) role: Option<String>,
}

impl RowSecurity {
    /// Reads the settings of a source. `None`: its database is told nothing.
    pub(crate) fn of(source: &configuration::Source) -> Option<Self> {
        let role = match (&source.role, &source.role_attribute) {
            (Some(role), _) => RoleChoice::Named(role.clone()),
            (None, Some(name)) => RoleChoice::OfAttribute { name: name.clone(), roles: source.roles.clone() },
            (None, None) => RoleChoice::Login,
        };
        source.row_level_security.then_some(Self { role })
    }

    /// Returns every role that queries may run as; none is that of the url.
    pub(crate) fn roles(&self) -> Vec<String> {
        match &self.role {
            RoleChoice::Login => Vec::new(),
            RoleChoice::Named(role) => vec![role.clone()],
            RoleChoice::OfAttribute { roles, .. } => roles.clone(),
        }
    }

    /// Finds what the database is told of the owner of a job.
    ///
    /// # Errors
    /// Says that the attribute that names the role is missing, or names none of those that may be taken.
    pub(crate) fn asker(&self, caller: &Caller, attributes: &Attributes) -> Result<Asker, Problem> {
        let role = match &self.role {
            RoleChoice::Login => None,
            RoleChoice::Named(role) => Some(role.clone()),
            RoleChoice::OfAttribute { name, roles } => {
                let said = attributes.get(name).and_then(Value::as_str);
                let Some(role) = said.and_then(|said| roles.iter().find(|role| *role == said)) else {
                    let why =
                        if attributes.get(name).is_none() { "do not say it" } else { "name no role that may be taken" };
                    let detail = format!(
                        "the source takes the database's role from the attribute `{name}`, and the credentials of the job's owner {why}"
                    );
                    return Err(Problem::new(ProblemKind::QueryFailed, detail));
                };
                Some(role.clone())
            }
        };
        Ok(Asker { caller: caller.clone(), attributes: attributes.clone(), role })
    }
}

/// Makes sure that report and source agree on who limits the rows. Where only the source did, jobs of several principals would share one
/// run; where only the report did, nothing would limit the rows.
///
/// # Errors
/// Says which of the two is to be changed.
pub(crate) fn check_agreement(
    source: &configuration::Source,
    report: &report::ReportDefinition,
) -> Result<(), Problem> {
    disagreement(source, report).map_or(Ok(()), |why| Err(Problem::new(ProblemKind::QueryFailed, why)))
}

/// Says why a report cannot be read from a source of these settings, as far as it is about who limits the rows.
#[must_use]
pub fn disagreement(source: &configuration::Source, report: &report::ReportDefinition) -> Option<String> {
    let name = &report.source;
    match (source.row_level_security, report.row_level_security) {
        (true, false) => Some(format!(
            "the source `{name}` limits rows by who asks (row_level_security in its settings); write `row_level_security = true` into \
             the report too, so that nobody is answered from the files of another"
        )),
        (false, true) => Some(format!(
            "the report relies on the policies of the source `{name}`, which does not tell its database who asks; set \
             sources.{name}.row_level_security, or leave row_level_security out of the report"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use configuration::Source;
    use serde_json::json;

    use super::*;

    fn caller() -> Caller {
        Caller { tenant: "acme".to_owned(), principal: "ana".to_owned() }
    }

    #[test]
    fn a_role_comes_from_the_settings_or_from_an_attribute_that_names_one_of_a_list() {
        let secured = Source { row_level_security: true, ..Source::default() };
        assert_eq!(RowSecurity::of(&Source::default()), None);
        let login = RowSecurity::of(&secured).unwrap();
        assert_eq!(login.asker(&caller(), &Attributes::default()).unwrap().role, None);
        let named = RowSecurity::of(&Source { role: Some("reader".to_owned()), ..secured.clone() }).unwrap();
        assert_eq!(named.asker(&caller(), &Attributes::default()).unwrap().role.as_deref(), Some("reader"));
        let (role_attribute, roles) = (Some("db_role".to_owned()), vec!["emea".to_owned()]);
        let chosen = RowSecurity::of(&Source { role_attribute, roles, ..secured }).unwrap();
        let ask = |said: Value| {
            let attributes = Attributes::new([("db_role".to_owned(), said)]).unwrap();
            chosen.asker(&caller(), &attributes).map(|asker| asker.role).map_err(|problem| problem.detail)
        };
        assert_eq!(ask(json!("emea")), Ok(Some("emea".to_owned())));
        for other in [json!("postgres"), json!("EMEA"), json!(["emea"]), json!("emea; reset role")] {
            let why = ask(other).unwrap_err();
            assert!(why.ends_with("name no role that may be taken") && !why.contains("postgres"), "{why}");
        }
        assert!(chosen.asker(&caller(), &Attributes::default()).unwrap_err().detail.ends_with("do not say it"));
    }
}
