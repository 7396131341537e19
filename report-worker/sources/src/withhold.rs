//! The words of a database are withheld where they may hold what must not be told: a function may have changed a value before the
//! database complained about it, so that looking for the value finds nothing.

use crate::bind::Binding;

/// Tells whether the words of the database stay out of answers, logs and the service's own database.
pub(crate) fn is_secret(bindings: &[Binding<'_>]) -> bool {
    bindings.iter().any(|binding| binding.sensitive)
}

/// Says what can be said in place of the database's words.
pub(crate) fn withheld(code: Option<String>) -> String {
    let code = code.map_or_else(String::new, |code| format!(" ({code})"));
    format!(
        "the source refused it{code}; its words are withheld, because the report has a sensitive parameter or reads \
         attributes, whose values they may hold. Run the query at the source to see them; `waitless check --connect` tells what is wrong with the query itself"
    )
}
