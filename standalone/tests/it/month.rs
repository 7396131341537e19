//! A month of schedules by `waitless up`, on a clock that is set from one moment to the next: what fired when, for which nominal time
//! and with which parameters, and what was mailed, minute by minute, as in `month.txt`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::{Value, json};
use testing::eventually;
use testing::fake_clock::FakeClock;

use crate::service::{DEADLINE, Sandbox, Service, files};

/// What has to come: the minute (UTC), whose it is, and what it is.
const TABLE: &str = include_str!("month.txt");

/// A report of a day, and one of which nothing but the number of its jobs is of interest.
const DAILY: &str = r#"
title = "Daily"
source = "numbers"
formats = ["csv"]
total = "unknown"
sql = "select :day as day, :since as since"

[params.day]
type = "date"
label = "Day"
default = "2026-01-01"

[params.since]
type = "date"
label = "Since"
default = "2026-01-01"
"#;

/// Made when the month begins.
fn schedules() -> Vec<Value> {
    let weekdays = "every weekday at 07:30";
    let (madrid, berlin) = ("Europe/Madrid", "Europe/Berlin");
    let since = json!({"relative": "start_of_month", "minus": "1 month"});
    let overlapping = |name: &str, overlap: &str| {
        json!({"title": name, "report": "counting", "when": weekdays, "zone": madrid, "overlap": overlap,
               "starts_at": "2026-10-20T00:00:00Z", "ends_at": "2026-10-22T23:00:00Z"})
    };
    let mut all = vec![
        // Not on Spain's national day; what an outage swallows for more than an hour is missed.
        json!({"title": "mornings", "report": "daily", "when": weekdays, "zone": madrid, "calendar": "es", "on_holiday": "skip",
               "params": {"day": {"relative": "yesterday"}, "since": since}}),
        // What an outage swallows for less than two days comes after it.
        json!({"title": "patient", "report": "daily", "when": weekdays, "zone": madrid, "catch_up": "2d",
               "params": {"day": {"relative": "today"}}}),
        json!({"title": "month-end", "report": "daily", "when": "last working day of the month at 18:00", "zone": madrid,
               "params": {"since": since}}),
        json!({"title": "last-day", "report": "daily", "when": "0 12 L * *", "zone": "America/New_York"}),
        // On the 25th the clocks show it twice.
        json!({"title": "twice", "report": "daily", "when": "30 2 * * SUN", "zone": berlin}),
        // On the 4th the clocks go from 02:00 to 02:30.
        json!({"title": "gap", "report": "daily", "when": "15 2 * * SUN", "zone": "Australia/Lord_Howe"}),
        overlapping("skip", "skip"),
        overlapping("queue", "queue_one"),
        overlapping("allow", "allow"),
        json!({"title": "paused", "report": "daily", "when": weekdays, "zone": berlin, "ends_at": "2026-10-10T00:00:00Z"}),
        // Nothing asks for it for three days, nor for three more after it was asked for once.
        json!({"title": "silent", "report": "daily", "alarm_after": "3d"}),
        // The load is to be done by seven, and is late once and does not come once.
        json!({"title": "loaded", "report": "daily", "when": "on event", "latest": "every Tuesday at 07:00", "zone": madrid,
               "params": {"day": {"relative": "yesterday"}}}),
    ];
    for one in &mut all {
        let to = format!("{}@example.com", one["title"].as_str().unwrap());
        one["notify"] = json!([{"channel": "email", "to": to}]);
    }
    all
}

/// What people do in that month, and what happens to the service.
#[derive(Debug, Clone, Copy)]
enum Act {
    Patch(&'static str, bool),
    Report(&'static str),
    Fire(&'static str, &'static str),
    Down,
    Up,
    Look,
}

const ACTS: [(&str, Act); 15] = [
    ("2026-10-06T03:00", Act::Fire("loaded", "monday-5")),
    ("2026-10-06T12:00", Act::Patch("paused", true)),
    ("2026-10-08T12:00", Act::Patch("paused", false)),
    ("2026-10-13T10:00", Act::Fire("silent", "load-1")),
    // An hour late, by the clock of Madrid.
    ("2026-10-13T06:00", Act::Fire("loaded", "monday-12")),
    // Again, by a pipeline that has not heard the answer.
    ("2026-10-13T11:00", Act::Fire("silent", "load-1")),
    ("2026-10-14T18:00", Act::Down),
    ("2026-10-15T20:00", Act::Up),
    ("2026-10-19T12:00", Act::Report("POST")),
    ("2026-10-22T12:00", Act::Report("DELETE")),
    // By the clock of Madrid half an hour after the Tuesday began, and one and a half hours before it does.
    ("2026-10-19T22:30", Act::Fire("loaded", "monday-19")),
    ("2026-10-26T21:30", Act::Fire("loaded", "sunday-25")),
    // An hour after the clocks were set back: nothing comes a second time.
    ("2026-10-25T01:30", Act::Look),
    ("2026-10-30T18:00", Act::Look),
    ("2026-10-31T22:59", Act::Look),
];

struct Month {
    sandbox: Sandbox,
    clock: FakeClock,
    service: Option<Service>,
    ids: BTreeMap<String, String>,
    /// What a firing's job was given, by its id; it stays as it is.
    params: Mutex<BTreeMap<String, String>>,
    http: reqwest::Client,
}

fn minute(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").unwrap().and_utc()
}

impl Month {
    async fn begin(at: &str) -> Self {
        let sandbox = Sandbox::with_counting();
        sandbox.write("catalogue/daily.toml", DAILY);
        let settings = std::fs::read_to_string(sandbox.path("waitless.toml")).unwrap();
        sandbox.write("waitless.toml", &format!("{settings}[calendars.es]\ndates = [\"2026-10-12\"]\n"));
        let (clock, http) = (FakeClock::new().unwrap(), reqwest::Client::new());
        let mut month = Self { sandbox, clock, service: None, ids: BTreeMap::new(), params: Mutex::default(), http };
        month.set(minute(at));
        month.up().await;
        for asked in schedules() {
            let made = month.post("/v1/schedules", &asked).await;
            let title = made["title"].as_str().unwrap_or_else(|| panic!("{asked}: {made}"));
            month.ids.insert(title.to_owned(), made["id"].as_str().unwrap().to_owned());
        }
        month
    }

    /// Sets the clock a second after a minute began.
    fn set(&self, at: DateTime<Utc>) {
        self.clock.set((at - Utc::now()).num_seconds() + 1).unwrap();
    }

    async fn up(&mut self) {
        let environment = self.clock.environment();
        let live_by = |command: &mut tokio::process::Command| {
            command.envs(environment);
        };
        self.service = Some(self.sandbox.up_with(live_by).await);
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let key = std::fs::read_to_string(self.sandbox.path("data/api-key")).unwrap();
        let url = format!("{}{path}", self.service.as_ref().unwrap().address);
        self.http.request(method, url).bearer_auth(key.trim())
    }

    async fn get(&self, path: &str) -> Value {
        self.request(reqwest::Method::GET, path).send().await.unwrap().json().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.request(reqwest::Method::POST, path).json(body).send().await.unwrap().json().await.unwrap()
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Patch(title, paused) => {
                let path = format!("/v1/schedules/{}", self.ids[title]);
                let asked = self.request(reqwest::Method::PATCH, &path).json(&json!({"paused": paused}));
                assert!(asked.send().await.unwrap().status().is_success());
            }
            Act::Report(method) => {
                let asked = if method == "POST" { "" } else { "?kind=report&name=counting" };
                let request = self.request(method.parse().unwrap(), &format!("/v1/admin/pauses{asked}"));
                let answer = request.json(&json!({"kind": "report", "name": "counting"})).send().await.unwrap();
                assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
            }
            Act::Fire(title, data) => {
                let path = format!("/v1/schedules/{}", self.ids[title]);
                assert_eq!(
                    self.post(&format!("{path}/fire"), &json!({"data_version": data})).await["outcome"],
                    "fired"
                );
                // From its end on it counts how long nothing is sent.
                let ended = async || self.get(&path).await["firings"][0]["ended"] == "done";
                eventually(DEADLINE, "the end of the firing to be seen", ended).await;
            }
            Act::Down => assert_eq!(self.service.take().unwrap().stop().await, 0),
            Act::Up => self.up().await,
            Act::Look => {}
        }
    }

    /// Says what came so far, as the table does.
    async fn seen(&self) -> Vec<String> {
        let mut seen: Vec<String> =
            files(&self.sandbox.path("data/mail"), "eml").iter().map(|file| mail(file)).collect();
        for (title, id) in &self.ids {
            let schedule = self.get(&format!("/v1/schedules/{id}")).await;
            for firing in schedule["firings"].as_array().unwrap() {
                let at = firing["at"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
                let nominal = firing["nominal"].as_str().map_or("asked", |nominal| &nominal[..16]);
                let outcome = firing["outcome"].as_str().unwrap();
                let params = match firing["job"].as_str() {
                    Some(job) => self.params_of(job).await,
                    None => String::new(),
                };
                seen.push(format!("{} {title} {outcome} {nominal}{params}", at.format("%Y-%m-%dT%H:%M")));
            }
        }
        seen.sort();
        seen
    }

    async fn params_of(&self, job: &str) -> String {
        if let Some(known) = self.params.lock().unwrap().get(job) {
            return known.clone();
        }
        let params = self.get(&format!("/v1/jobs/{job}")).await["params"].clone();
        let given = |name| params[name].as_str().filter(|day| *day != "2026-01-01").map(|day| format!(" {name}={day}"));
        let text: String = ["day", "since"].into_iter().filter_map(given).collect();
        self.params.lock().unwrap().insert(job.to_owned(), text.clone());
        text
    }

    /// Waits until all has come that has to up to a moment.
    async fn until(&self, moment: DateTime<Utc>) {
        let until = moment.format("%Y-%m-%dT%H:%M").to_string();
        let wanted: Vec<&str> = table().into_iter().filter(|line| line[..16] <= *until).collect();
        eventually(DEADLINE, &until, async || compare(&wanted, &self.seen().await)).await;
    }
}

/// What a mail says, as the table does: when it was written, to whom, about what.
fn mail(file: &std::path::Path) -> String {
    let text = std::fs::read_to_string(file).unwrap().replace("\r\n ", " ");
    let header = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} {text}"));
        line.trim().to_owned()
    };
    let at = DateTime::parse_from_rfc2822(&header("Date:")).unwrap().to_utc();
    let to = header("To:").split('@').next().unwrap().trim_start_matches('<').to_owned();
    format!("{} {to} mail {}", at.format("%Y-%m-%dT%H:%M"), header("Subject:"))
}

/// The lines of the table, sorted.
fn table() -> Vec<&'static str> {
    let mut lines: Vec<&str> = TABLE.lines().filter(|line| line.starts_with("20")).collect();
    lines.sort_unstable();
    lines
}

fn compare(wanted: &[&str], seen: &[String]) -> Result<(), String> {
    let mut difference = String::new();
    let count = |line: &str| {
        (wanted.iter().filter(|one| **one == line).count(), seen.iter().filter(|one| *one == line).count())
    };
    for line in wanted.iter().copied().chain(seen.iter().map(String::as_str)) {
        let (wanted, seen) = count(line);
        if wanted != seen && !difference.contains(line) {
            let _never_fails = write!(difference, "\n{line}: {seen} instead of {wanted}");
        }
    }
    if difference.is_empty() { Ok(()) } else { Err(difference) }
}

#[tokio::test]
async fn a_month_of_schedules_fires_and_mails_what_the_table_says_and_nothing_else() {
    let mut month = Month::begin("2026-09-30T22:00").await;
    let mut moments: BTreeMap<DateTime<Utc>, Vec<Act>> = BTreeMap::new();
    for line in table() {
        moments.entry(minute(&line[..16])).or_default();
    }
    for (at, act) in ACTS {
        moments.entry(minute(at)).or_default().push(act);
    }
    for (moment, acts) in moments {
        month.set(moment);
        for act in acts {
            month.act(act).await;
        }
        if month.service.is_some() {
            month.until(moment).await;
        }
    }
    // Whatever came late would have come by now.
    let wanted = table();
    assert_eq!(compare(&wanted, &month.seen().await), Ok(()));
}
