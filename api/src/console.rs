//! The console and the widget: static files, kept in the binary.
//!
//! Files stand under `/assets/<version>/`, where the version is a hash over all of them, so that browsers may keep them for
//! ever and a page never mixes two versions. The pages themselves and the widget are asked for again each time.

use std::sync::LazyLock;

use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_NONE_MATCH,
};
use actix_web::{HttpRequest, HttpResponse, web};
use model::access::hash_token;
use model::problem::ProblemKind;

use crate::problem::{Answer, Fault};

/// Lists files with their text, by their path under `api/web`.
macro_rules! files {
    ($($path:literal),+ $(,)?) => { &[$(($path, include_str!(concat!("../web/", $path)))),+] };
}

/// What the console is made of.
const SOURCES: &[(&str, &str)] = files![
    "console/app.js",
    "console/console.css",
    "console/dom.js",
    "console/form.js",
    "console/icon.svg",
    "console/job_line.js",
    "console/live.js",
    "console/notice.js",
    "console/pages/catalogue.js",
    "console/pages/job.js",
    "console/pages/jobs.js",
    "console/pages/link.js",
    "console/pages/login.js",
    "console/pages/operations.js",
    "console/pages/preview.js",
    "console/pages/report.js",
    "console/theme.js",
    "console/words.js",
    "link.js",
    "sdk/client.js",
    "sdk/index.js",
    "sdk/jobs.js",
    "sdk/parse.js",
    "sdk/problem.js",
    "sdk/request.js",
    "sdk/stream.js",
    "sdk/wait.js",
];

const PAGE: &str = include_str!("../web/console/index.html");

/// The files as they travel.
static FILES: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
    let travels = |path: &str, text: &str| if path.ends_with(".js") { without_comments(text) } else { text.to_owned() };
    SOURCES.iter().map(|(path, text)| (*path, travels(path, text))).collect()
});

/// The widget and the parts of the client it uses, each after what it needs.
const WIDGET: &[&str] = &[
    include_str!("../web/sdk/problem.js"),
    include_str!("../web/sdk/wait.js"),
    include_str!("../web/sdk/parse.js"),
    include_str!("../web/sdk/stream.js"),
    include_str!("../web/sdk/request.js"),
    include_str!("../web/sdk/jobs.js"),
    include_str!("../web/widget/waitless-report.js"),
];

/// Only what this gateway serves is loaded, and only this gateway is talked to.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The page that every address of the console is answered with.
struct Page {
    version: String,
    html: String,
    tag: String,
}

static CONSOLE: LazyLock<Page> = LazyLock::new(|| {
    let all: String = FILES.iter().map(|(path, text)| format!("{path}\n{text}\n")).collect();
    let version = short_hash(&all);
    let html = PAGE.replace("{assets}", &format!("/assets/{version}"));
    let tag = format!("\"{}\"", short_hash(&html));
    Page { version, html, tag }
});

static BUNDLE: LazyLock<(String, String)> = LazyLock::new(|| {
    let script = join_modules(WIDGET);
    let tag = format!("\"{}\"", short_hash(&script));
    (script, tag)
});

/// Returns the address of a file for pages outside of the console.
pub(crate) fn asset_path(path: &str) -> String {
    format!("/assets/{}/{path}", CONSOLE.version)
}

fn short_hash(text: &str) -> String {
    hash_token(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Leaves out indentation, and comments on lines of their own, types for the checker mostly. Lines keep their numbers, so that what
/// a browser says of an error can be found here.
fn without_comments(script: &str) -> String {
    let mut left = String::with_capacity(script.len());
    let mut inside = false;
    for line in script.lines().map(str::trim) {
        let opens = line.starts_with("/**");
        let comment =
            inside || line.starts_with("//") || opens && line.find("*/").is_none_or(|at| at + 2 == line.len());
        inside = (inside || opens) && !line.contains("*/");
        if !comment {
            left.push_str(&without_casts(line));
        }
        left.push('\n');
    }
    left
}

/// Makes one small script of several modules: without imports, exports, comments and spaces that say nothing, in a scope of its
/// own, so that it can be loaded as a module and as a plain script. The modules are ours, and the tests run what comes out.
fn join_modules(modules: &[&str]) -> String {
    let mut script = String::from("(() => {\n'use strict';\n");
    for line in modules.iter().flat_map(|module| module.lines()) {
        let line = without_casts(line.trim());
        let comment = ["/**", "//", "* ", "*/"].iter().any(|begin| line.starts_with(begin)) || line == "*";
        if line.is_empty() || comment || line.starts_with("import ") {
            continue;
        }
        script.push_str(line.strip_prefix("export ").unwrap_or(&line));
        script.push('\n');
    }
    script.push_str("})();\n");
    without_spaces(&script)
}

/// Takes comments out of a line that begin and end in it: types, for the checker.
fn without_casts(line: &str) -> String {
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
fn without_spaces(script: &str) -> String {
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

/// Answers every address of the console with its page; what to show stands in the address.
///
/// # Errors
/// None.
pub async fn page(request: HttpRequest) -> Answer {
    let mut answer = answer_text(&request, &CONSOLE.tag, "text/html; charset=utf-8", &CONSOLE.html);
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(answer)
}

/// Answers a person whose address leads nowhere: the console says so.
pub(crate) fn lost() -> HttpResponse {
    let mut answer = HttpResponse::NotFound();
    answer.insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).insert_header((CACHE_CONTROL, "no-cache"));
    answer.insert_header((CONTENT_SECURITY_POLICY, POLICY));
    answer.body(CONSOLE.html.as_str())
}

/// Answers a file of the console. A page of another version gets this one's, and does not keep it.
///
/// # Errors
/// `not-found`.
pub async fn asset(path: web::Path<(String, String)>, request: HttpRequest) -> Answer {
    let (version, path) = path.into_inner();
    let Some((_, text)) = FILES.iter().find(|(known, _)| *known == path) else {
        return Err(Fault::new(ProblemKind::NotFound, "The console has no such file. Load the page again."));
    };
    let mut answer = answer_text(&request, &format!("\"{}\"", CONSOLE.version), media_type(&path), text);
    if version == CONSOLE.version {
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    }
    Ok(answer)
}

/// Answers the widget, to pages of any origin.
///
/// # Errors
/// None.
pub async fn widget(request: HttpRequest) -> Answer {
    let (script, tag) = &*BUNDLE;
    let mut answer = answer_text(&request, tag, media_type("widget.js"), script);
    for (name, value) in
        [(ACCESS_CONTROL_ALLOW_ORIGIN, "*"), (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin")]
    {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(answer)
}

fn answer_text(request: &HttpRequest, tag: &str, media_type: &'static str, text: &'static str) -> HttpResponse {
    let given = request.headers().get(IF_NONE_MATCH).and_then(|given| given.to_str().ok()).unwrap_or_default();
    let known = given.split(',').any(|one| one.trim().trim_start_matches("W/") == tag);
    let mut answer = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    // Asked for again each time, and mostly answered with `304`.
    answer.insert_header((ETAG, tag.to_owned())).insert_header((CACHE_CONTROL, "no-cache"));
    if known { answer.finish() } else { answer.insert_header((CONTENT_TYPE, media_type)).body(text) }
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widget_is_one_small_script() {
        let (script, _) = &*BUNDLE;
        for word in ["\nimport ", "\nexport ", "\n//", "\n*", "/**", "*/"] {
            assert!(!script.contains(word), "{word:?}");
        }
        assert!(script.contains("customElements.define("));
        assert!(script.len() <= 15_000, "{} bytes", script.len());
    }

    #[test]
    fn scripts_travel_without_comments_and_lines_keep_their_numbers() {
        let script = "/**\n * @param {string} a\n */\nexport const f = (/** @type {any} */ a) => {\n  // Why.\n  /** @type {Of} */ (a).b = 'x // y';\n};\n";
        let travels = "\n\n\nexport const f = (a) => {\n\n(a).b = 'x // y';\n};\n";
        assert_eq!(without_comments(script), travels);
        for (path, text) in FILES.iter().filter(|(path, _)| path.ends_with(".js")) {
            assert!(!text.contains("/**") && !text.contains("\n//"), "{path}");
            let source = SOURCES.iter().find(|(known, _)| known == path).unwrap().1;
            assert_eq!(text.lines().count(), source.lines().count(), "{path}");
        }
    }

    #[test]
    fn the_console_is_small_and_loads_only_files_that_are_there() {
        let total: usize = FILES.iter().map(|(_, text)| text.len()).sum();
        assert!(total + PAGE.len() <= 150_000, "{total} bytes");
        let loaded = PAGE.split("{assets}/").skip(1).filter_map(|rest| rest.split('"').next());
        for path in loaded {
            assert!(FILES.iter().any(|(known, _)| *known == path), "{path}");
        }
        let shared = ["sdk/shapes.js"];
        for (path, text) in FILES.iter().filter(|(path, _)| path.ends_with(".js")) {
            for line in text.lines().filter(|line| line.starts_with("import ") || line.starts_with("} from ")) {
                let Some(from) = line.rsplit_once(" from '").and_then(|(_, rest)| rest.split('\'').next()) else {
                    continue;
                };
                let folder = path.rsplit_once('/').unwrap().0;
                let target = join(folder, from);
                assert!(
                    shared.contains(&target.as_str()) || FILES.iter().any(|(known, _)| *known == target),
                    "{path}: {target}"
                );
            }
        }
    }

    fn join(folder: &str, path: &str) -> String {
        let mut parts: Vec<&str> = folder.split('/').collect();
        for part in path.split('/') {
            match part {
                "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        parts.join("/")
    }
}
