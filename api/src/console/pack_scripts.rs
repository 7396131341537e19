//! Makes scripts smaller for their way to the browser.

/// Leaves out indentation, and comments on lines of their own, types for the checker mostly. Lines keep their numbers, so that what
/// a browser says of an error can be found here.
pub(super) fn strip_comments(script: &str) -> String {
    let mut left = String::with_capacity(script.len());
    let mut inside = false;
    for line in script.lines().map(str::trim) {
        let opens = line.starts_with("/**");
        let comment =
            inside || line.starts_with("//") || opens && line.find("*/").is_none_or(|at| at + 2 == line.len());
        inside = (inside || opens) && !line.contains("*/");
        if !comment {
            left.push_str(&strip_casts(line));
        }
        left.push('\n');
    }
    left
}

/// Makes one small script of several modules: without imports, exports, comments and spaces that say nothing, in a scope of its
/// own, so that it can be loaded as a module and as a plain script. The modules are ours, and the tests run what comes out.
pub(super) fn join_modules(modules: &[&str]) -> String {
    let mut script = String::from("(() => {\n'use strict';\n");
    for line in modules.iter().flat_map(|module| module.lines()) {
        let line = strip_casts(line.trim());
        let comment = ["/**", "//", "* ", "*/"].iter().any(|begin| line.starts_with(begin)) || line == "*";
        if line.is_empty() || comment || line.starts_with("import ") {
            continue;
        }
        script.push_str(line.strip_prefix("export ").unwrap_or(&line));
        script.push('\n');
    }
    script.push_str("})();\n");
    strip_spaces(&script)
}

/// Takes comments out of a line that begin and end in it: types, for the checker.
fn strip_casts(line: &str) -> String {
    let mut left = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("/** ") {
        let Some((_, behind)) = after.split_once("*/") else { break };
        left.push_str(before);
        rest = behind.trim_start();
    }
    left + rest
}

/// Takes out spaces that part no two words, except in strings and templates.
fn strip_spaces(script: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '#');
    let mut dense = String::with_capacity(script.len());
    let mut quote = None;
    let mut escaped = false;
    let mut characters = script.chars().peekable();
    while let Some(c) = characters.next() {
        let parts = dense.ends_with(word) && characters.peek().copied().is_some_and(word);
        if c != ' ' || quote.is_some() || parts {
            dense.push(c);
        }
        match quote {
            Some(end) if c == end && !escaped => quote = None,
            None if matches!(c, '\'' | '"' | '`') => quote = Some(c),
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    dense
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_travel_without_comments_and_lines_keep_their_numbers() {
        let script = "/**\n * @param {string} a\n */\nexport const f = (/** @type {any} */ a) => {\n  // Why.\n  /** @type {Of} */ (a).b = 'x // y';\n};\n";
        let travels = "\n\n\nexport const f = (a) => {\n\n(a).b = 'x // y';\n};\n";
        assert_eq!(strip_comments(script), travels);
    }
}
