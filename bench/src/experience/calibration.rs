//! How often times of arrival come true: the demo catalogue's reports, many times, on `waitless up`.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use model::forecast::{Calibration, Eta};
use serde_json::{Map, Value, json};
use testing::process::{Process, binary};

use crate::figures::{print, say};
use crate::load::{Connection, Request};

/// Rounds over all reports before anything is counted: there is nothing to learn from yet.
const WARM: usize = 8;

/// Rounds that are counted.
const ROUNDS: usize = 30;

/// Bursts, and jobs in each: more than there are places, so that most wait for others.
const BURSTS: usize = 12;
const BURST: usize = 10;

/// A job takes seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Prints the share of jobs that were ready between the times their submit was told, one at a time and in bursts.
pub(crate) async fn measure() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    say("starting `waitless up` with fresh demo data");
    let mut service = binary("waitless")
        .arg("up")
        .env("WAITLESS_SERVICE__DATA_DIR", data.path().display().to_string())
        .env("WAITLESS_TELEMETRY__LOG", "warn")
        .start()
        .await?;
    service.wait_until_ready(Duration::from_secs(300)).await?;
    let key = std::fs::read_to_string(data.path().join("api-key"))?;
    let mut caller = Caller::open(&service, key.trim()).await?;
    let wishes = caller.wishes().await?;
    for round in 0..WARM {
        say(&format!("round {} of {WARM} to learn from", round + 1));
        for report in 0..wishes.len() {
            caller.one(&wishes, round, report, None).await?;
        }
    }
    let mut alone = Calibration::default();
    for round in 0..ROUNDS {
        say(&format!("round {} of {ROUNDS}", round + 1));
        for turn in 0..wishes.len() {
            // Another order each time, so that it is not always the same report that follows a heavy one.
            caller.one(&wishes, round, (turn * 3 + round) % wishes.len(), Some(&mut alone)).await?;
        }
    }
    let mut queued = Calibration::default();
    for burst in 0..BURSTS {
        say(&format!("burst {} of {BURSTS}", burst + 1));
        caller.burst(&wishes, burst, &mut queued).await?;
    }
    tell("eta_calibration", &alone)?;
    tell("eta_queued_calibration", &queued)?;
    service.terminate()?;
    service.wait(Duration::from_secs(30)).await?;
    Ok(())
}

fn tell(name: &str, counted: &Calibration) -> anyhow::Result<()> {
    let share = |count| counted.percent(count).context("something was foretold");
    print(&format!("{name}_percent"), share(counted.inside)?, "%");
    print(&format!("{name}_early_percent"), share(counted.early)?, "%");
    print(&format!("{name}_late_percent"), share(counted.late)?, "%");
    print(&format!("{name}_by_p50_percent"), share(counted.by_p50)?, "%");
    print(&format!("{name}_jobs"), f64::from(counted.forecasts), "jobs");
    Ok(())
}

/// A report, with the parameters it is asked for: all choices in turn, else the defaults.
struct Wish {
    report: String,
    format: String,
    required: Vec<String>,
    properties: Map<String, Value>,
}

impl Wish {
    fn read(report: &Value) -> Option<Self> {
        let required = report.pointer("/params/required").and_then(Value::as_array);
        Some(Self {
            report: report.get("name")?.as_str()?.to_owned(),
            format: report.pointer("/formats/0")?.as_str()?.to_owned(),
            required: required.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
            properties: report.pointer("/params/properties")?.as_object()?.clone(),
        })
    }

    fn body(&self, round: usize) -> Value {
        let mut params = Map::new();
        for name in &self.required {
            let choices = self.properties.get(name).and_then(|schema| schema.get("enum")).and_then(Value::as_array);
            if let Some(choice) = choices.and_then(|all| all.get(round % all.len().max(1))) {
                params.insert(name.clone(), choice.clone());
            }
        }
        // A file that is there already arrives at once, and teaches nothing.
        json!({"report": self.report, "params": params, "formats": [self.format], "reuse": {"max_age": 0}})
    }
}

struct Caller {
    connection: Connection,
    address: String,
    key: String,
}

impl Caller {
    async fn open(service: &Process, key: &str) -> anyhow::Result<Self> {
        let address = service.url().trim_start_matches("http://").to_owned();
        Ok(Self { connection: Connection::open(&address).await?, address, key: key.to_owned() })
    }

    async fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<(u16, Value)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::new(&self.address, &self.key, &format!("{method} {path}"), &body);
        let (status, answer) = self.connection.send(&request).await?;
        Ok((status, serde_json::from_slice(&answer).with_context(|| format!("read the answer to {path}"))?))
    }

    async fn wishes(&mut self) -> anyhow::Result<Vec<Wish>> {
        let (_, answer) = self.call("GET", "/v1/reports", None).await?;
        let reports = answer.get("reports").and_then(Value::as_array).context("the catalogue")?;
        let wishes: Vec<Wish> = reports.iter().filter_map(Wish::read).collect();
        ensure!(wishes.len() >= 5, "the demo catalogue has only {} reports", wishes.len());
        Ok(wishes)
    }

    async fn submit(&mut self, wish: &Wish, round: usize) -> anyhow::Result<Value> {
        let (status, job) = self.call("POST", "/v1/jobs", Some(&wish.body(round))).await?;
        ensure!(status == 202, "{}: {status} {job}", wish.report);
        Ok(job)
    }

    async fn one(
        &mut self,
        wishes: &[Wish],
        round: usize,
        report: usize,
        counted: Option<&mut Calibration>,
    ) -> anyhow::Result<()> {
        let wish = wishes.get(report).context("a report")?;
        let told = self.submit(wish, round).await?;
        let done = self.wait(&told).await?;
        if let Some(counted) = counted {
            judge(&told, &done, counted)?;
        }
        Ok(())
    }

    async fn burst(&mut self, wishes: &[Wish], round: usize, counted: &mut Calibration) -> anyhow::Result<()> {
        let mut all = Vec::new();
        for number in 0..BURST {
            let wish = wishes.get((round + number) % wishes.len()).context("a report")?;
            all.push(self.submit(wish, round + number).await?);
        }
        for told in &all {
            let done = self.wait(told).await?;
            judge(told, &done, counted)?;
        }
        Ok(())
    }

    async fn wait(&mut self, job: &Value) -> anyhow::Result<Value> {
        let id = job.get("id").and_then(Value::as_str).context("a job has an id")?;
        let path = format!("/v1/jobs/{id}");
        let looking = async {
            loop {
                let (_, job) = self.call("GET", &path, None).await?;
                match job.get("state").and_then(Value::as_str) {
                    Some("done") => return Ok(job),
                    Some("pending" | "processing") => tokio::time::sleep(Duration::from_millis(10)).await,
                    other => anyhow::bail!("a job became {other:?}: {job}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.context("a job is done in time")?
    }
}

/// Holds what a submit was told against when the job was ready.
fn judge(told: &Value, done: &Value, counted: &mut Calibration) -> anyhow::Result<()> {
    let Some(eta) = told.get("eta").filter(|eta| !eta.is_null()) else { return Ok(()) };
    let time = |from: &Value, name: &str| -> anyhow::Result<DateTime<Utc>> {
        let text = from.get(name).and_then(Value::as_str).with_context(|| format!("{name} is a time"))?;
        Ok(text.parse()?)
    };
    let submitted = time(told, "created_at")?;
    let ms = |at: DateTime<Utc>| (at - submitted).num_milliseconds().unsigned_abs();
    let told = Eta { p10: ms(time(eta, "p10")?), p50: ms(time(eta, "p50")?), p90: ms(time(eta, "p90")?), runs: 0 };
    counted.add(told, ms(time(done, "finished_at")?));
    Ok(())
}
