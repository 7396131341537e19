//! The files of the console and the widget, kept in the binary.

use std::sync::LazyLock;

use model::access::hash_token;

use super::pack_scripts::{join_modules, strip_comments};

/// Lists files with their text, by their path under `api/web`.
macro_rules! files {
    ($($path:literal),+ $(,)?) => { &[$(($path, include_str!(concat!("../../web/", $path)))),+] };
}

/// What the console is made of.
const SOURCES: &[(&str, &str)] = files![
    "console/app.js",
    "console/base.js",
    "console/console.css",
    "console/dom.js",
    "console/form.js",
    "console/icon.svg",
    "console/job_line.js",
    "console/live.js",
    "console/notice.js",
    "console/pages/catalogue.js",
    "console/pages/deliveries.js",
    "console/pages/job.js",
    "console/pages/jobs.js",
    "console/pages/link.js",
    "console/pages/login.js",
    "console/pages/operations.js",
    "console/pages/preview.js",
    "console/pages/report.js",
    "console/pages/usage.js",
    "console/theme.js",
    "console/usage_words.js",
    "console/words.js",
    "link.js",
    "sdk/client.js",
    "sdk/index.js",
    "sdk/jobs.js",
    "sdk/parse.js",
    "sdk/problem.js",
    "sdk/request.js",
    "sdk/share.js",
    "sdk/stream.js",
    "sdk/wait.js",
    "sdk/watch.js",
];

const PAGE: &str = include_str!("../../web/console/index.html");

/// The files as they travel.
pub(super) static FILES: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
    let travels = |path: &str, text: &str| match path.rsplit('.').next() {
        Some("js") => strip_comments(text),
        Some("css") => text.lines().map(strip_style).collect::<Vec<_>>().join("\n"),
        _ => text.to_owned(),
    };
    SOURCES.iter().map(|(path, text)| (*path, travels(path, text))).collect()
});

/// Takes out the spaces of a line that say nothing. No text of ours has a colon, comma or brace before a space.
fn strip_style(line: &str) -> String {
    line.trim().replace(": ", ":").replace(", ", ",").replace(" {", "{")
}

/// The widget and the parts of the client it uses, each after what it needs. How streams are read and shared it fetches, once a job
/// is to be watched, from the files of the console.
const WIDGET: &[&str] = &[
    include_str!("../../web/sdk/problem.js"),
    include_str!("../../web/sdk/wait.js"),
    include_str!("../../web/sdk/request.js"),
    include_str!("../../web/sdk/jobs.js"),
    include_str!("../../web/widget/waitless-report.js"),
];

/// The page that every address of the console is answered with, with `{root}` where the way to the service's root belongs.
pub(super) struct ConsolePage {
    pub(super) version: String,
    html: String,
    hash: String,
}

impl ConsolePage {
    /// Returns the page for an address from which `root` leads to the root, and its tag.
    pub(super) fn at(&self, root: &str) -> (String, String) {
        (self.html.replace("{root}", root), format!("\"{}-{}\"", self.hash, root.len()))
    }
}

pub(super) static CONSOLE: LazyLock<ConsolePage> = LazyLock::new(|| {
    let all: String = FILES.iter().map(|(path, text)| format!("{path}\n{text}\n")).collect();
    let version = short_hash(&all);
    let html = PAGE.replace("{assets}", &format!("{{root}}assets/{version}"));
    let hash = short_hash(&html);
    ConsolePage { version, html, hash }
});

pub(super) static WIDGET_SCRIPT: LazyLock<(String, String)> = LazyLock::new(|| {
    let script = join_modules(WIDGET).replace("{assets}", &format!("/assets/{}", CONSOLE.version));
    let tag = format!("\"{}\"", short_hash(&script));
    (script, tag)
});

/// Returns the address of a file for pages outside of the console, from which `root` leads to the root.
pub(crate) fn asset_path(root: &str, path: &str) -> String {
    format!("{root}assets/{}/{path}", CONSOLE.version)
}

fn short_hash(text: &str) -> String {
    hash_token(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widget_is_one_small_script() {
        let (script, _) = &*WIDGET_SCRIPT;
        for word in ["\nimport ", "\nexport ", "\n//", "\n*", "/**", "*/"] {
            assert!(!script.contains(word), "{word:?}");
        }
        assert!(script.contains("customElements.define(") && !script.contains("{assets}"));
        assert!(script.len() <= 15_000, "{} bytes", script.len());
    }

    #[test]
    fn every_script_travels_without_comments_and_keeps_its_lines() {
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
