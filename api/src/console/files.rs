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
    "console/schedules/calendar.js",
    "console/schedules/form.js",
    "console/schedules/list.js",
    "console/schedules/one.js",
    "console/schedules/pages.js",
    "console/schedules/relative.js",
    "console/schedules/schedules.css",
    "console/schedules/when.js",
    "console/schedules/words/de.js",
    "console/schedules/words/en.js",
    "console/schedules/words/es.js",
    "console/schedules/words/fr.js",
    "console/schedules/words/zh.js",
    "console/schedules/writer.js",
    "console/schedules/zones.js",
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
    "sdk/schedules.js",
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

/// Takes out what says nothing of a line: spaces, and what parts a rule from its end. No text of ours has a colon, comma or brace before
/// a space.
fn strip_style(line: &str) -> String {
    line.trim().replace(": ", ":").replace(", ", ",").replace(" { ", "{").replace(" {", "{").replace("; }", "}")
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
    use std::collections::BTreeSet;

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

    /// What the console's pages need from the first moment on, and what is loaded when the pages about schedules are looked at.
    const FIRST: usize = 150_000;
    const SCHEDULES: usize = 65_000;

    /// Everything that a script imports, directly or not, itself among it; what it only imports when it is needed is left out.
    fn needed(script: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let mut left = vec![script.to_owned()];
        while let Some(path) = left.pop() {
            let (_, text) =
                FILES.iter().find(|(known, _)| *known == path).unwrap_or_else(|| panic!("{path} is missing"));
            left.extend(imports(&path, text, " from '").filter(|path| !all.contains(path)));
            all.insert(path);
        }
        all
    }

    /// The files that stand behind `before` in a script.
    fn imports(path: &str, text: &str, before: &str) -> impl Iterator<Item = String> {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let lines = text
            .lines()
            .filter(move |line| before == "import('" || line.starts_with("import ") || line.starts_with("} from "));
        let found = lines.filter_map(move |line| Some(line.rsplit_once(before)?.1.split_once('\'')?.0));
        found.map(move |from| join(folder, from))
    }

    fn size<'a>(paths: impl IntoIterator<Item = &'a String>) -> usize {
        paths.into_iter().map(|path| FILES.iter().find(|(known, _)| known == path).unwrap().1.len()).sum()
    }

    #[test]
    fn the_console_is_small_and_loads_only_files_that_are_there() {
        let loaded = PAGE.split("{assets}/").skip(1).filter_map(|rest| rest.split('"').next());
        for path in loaded {
            assert!(FILES.iter().any(|(known, _)| *known == path), "{path}");
        }
        for (path, _) in FILES.iter().filter(|(path, _)| path.ends_with(".js")) {
            needed(path);
        }
        let first = needed("console/app.js");
        let later: BTreeSet<String> = FILES
            .iter()
            .filter(|(path, _)| path.starts_with("console/schedules/") || *path == "sdk/schedules.js")
            .map(|(path, _)| (*path).to_owned())
            .collect();
        assert!(first.is_disjoint(&later), "what is loaded when it is needed is loaded at once");
        // Everything that is not known to be loaded later counts.
        let all: BTreeSet<String> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        let total = size(all.difference(&later)) + PAGE.len();
        assert!(total <= FIRST, "{total} bytes");
        // Of the languages one is loaded.
        let pages = needed("console/schedules/pages.js");
        let (_, text) = FILES.iter().find(|(path, _)| *path == "console/schedules/pages.js").unwrap();
        let languages: Vec<String> = imports("console/schedules/pages.js", text, "import('").collect();
        assert_eq!(languages.len(), 5);
        let words = languages.iter().map(|language| size([language])).max().unwrap();
        let style = "console/schedules/schedules.css".to_owned();
        let more = size(pages.difference(&first)) + size([&style]) + words;
        assert!(more <= SCHEDULES, "{more} bytes");
        // Nothing of it lies beside what is bounded.
        let bounded: BTreeSet<String> = pages.into_iter().chain(languages).chain([style]).collect();
        assert!(later.is_subset(&bounded), "{later:?}");
        println!("{total} bytes first, {more} bytes with the pages about schedules");
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
