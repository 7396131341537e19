//! What kind of program opens a link.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, USER_AGENT};
use model::artifact::Agent;

const PURPOSES: [HeaderName; 2] = [HeaderName::from_static("sec-purpose"), HeaderName::from_static("purpose")];

/// Parts of the names under which scanners of mails, link previews and crawlers introduce themselves. Those that call themselves
/// browsers cannot be told from people: what they look at is counted, and nothing is used up.
const SCANNERS: [&str; 17] = [
    "bot/",
    "bot-",
    "bot;",
    "bot)",
    "crawler",
    "spider",
    "scanner",
    "preview",
    "safelinks",
    "proofpoint",
    "mimecast",
    "barracuda",
    "urldefense",
    "facebookexternalhit",
    "slack-img",
    "whatsapp",
    "google-safety",
];

/// Tells by what the program says of itself.
pub(super) fn classify(request: &HttpRequest, person: bool) -> Agent {
    let text =
        |name: &HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let fetched_ahead = PURPOSES.iter().any(|name| text(name).contains("prefetch") || text(name).contains("preview"));
    if fetched_ahead { Agent::Scanner } else { name_of(text(&USER_AGENT), person) }
}

fn name_of(user_agent: &str, person: bool) -> Agent {
    let name = user_agent.to_ascii_lowercase();
    if SCANNERS.iter().any(|part| name.contains(part)) {
        Agent::Scanner
    } else if person || name.starts_with("mozilla/") {
        Agent::Browser
    } else {
        Agent::Program
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_their_names() {
        for (name, person, expected) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", true, Agent::Browser),
            ("Mozilla/5.0 (Linux; Android 13; CUBOT X70) Mobile Safari/537.36", true, Agent::Browser),
            ("curl/8.5.0", false, Agent::Program),
            ("", false, Agent::Program),
            ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", true, Agent::Scanner),
            ("Mozilla/5.0 (Windows NT 10.0) BingPreview/1.0b", true, Agent::Scanner),
            ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots); Slackbot 1.0(bot;)", false, Agent::Scanner),
            ("Slackbot-LinkExpanding 1.0", true, Agent::Scanner),
            ("WhatsApp/2.23", false, Agent::Scanner),
        ] {
            assert_eq!(name_of(name, person), expected, "{name}");
        }
    }
}
