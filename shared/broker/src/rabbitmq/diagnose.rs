//! What `waitless doctor` asks of RabbitMQ. What it declares for that goes again.

use lapin::Connection;
use model::finding::Findings;
use model::message::Queue;

use super::connect::Address;
use super::declare::{ACCESS_REFUSED, FoundAs, code, compare};
use super::greeting;
use super::recreate::{ProbeOutcome, ask, probe};

/// What a user needs.
const RIGHTS: &str = "grant configure, write and read on `waitless\\..*` and `amq\\.gen.*` to the user of broker.url \
    (`rabbitmqctl set_permissions`)";

pub(super) async fn diagnose(address: &Address, findings: &mut Findings) {
    let connection = match address.connect("doctor").await {
        Ok(connection) => connection,
        Err(why) => {
            let advice = advice(&why);
            return findings.fail(why, advice);
        }
    };
    look_at_version(address, findings).await;
    look_at_topology(&connection, address, findings).await;
    look_at_queues(address, findings).await;
    look_at_disk(&connection, address, findings).await;
    // Nothing more is asked of it.
    let _closed = tokio::time::timeout(address.timeout, connection.close(200, "done".into())).await;
}

fn advice(why: &str) -> &'static str {
    if why.contains("ACCESS_REFUSED") || why.contains("ACCESS-REFUSED") {
        "correct user and password in broker.url (`guest` may sign in from the broker's own machine only)"
    } else if why.contains("NOT_ALLOWED") || why.contains("NOT-ALLOWED") {
        "make the virtual host of broker.url, or let its user in (`rabbitmqctl add_vhost`, `set_permissions`)"
    } else if why.contains("certificate") {
        "name the authority of its certificate in broker.ca_file, or correct the host in broker.url"
    } else {
        "see that the broker runs and that host and port of broker.url can be reached from here"
    }
}

async fn look_at_version(address: &Address, findings: &mut Findings) {
    let Some(version) = greeting::version(&address.uri, address.timeout).await else {
        return findings.ok(format!("RabbitMQ at {} answers", address.shown));
    };
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let number = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if number < (3, 10) {
        let what = format!("RabbitMQ {version} at {} is too old", address.shown);
        return findings.fail(what, "upgrade it to 3.10 or later: older ones lose dead letters between two queues");
    }
    findings.ok(format!("RabbitMQ {version} at {} answers", address.shown));
}

/// Compares every exchange and queue with what we would declare: type, quorum, dead lettering, limits.
async fn look_at_topology(connection: &Connection, address: &Address, findings: &mut Findings) {
    let comparing = tokio::time::timeout(address.timeout, compare(connection, &address.topology));
    let found = match comparing.await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return findings.fail(error, "look into the broker's log"),
        Err(_) => return findings.fail("does not answer what its queues are", "look at its load and its log"),
    };
    let (mut good, mut missing, mut unknown) = (0, 0, Vec::new());
    for (what, standing) in found {
        match standing {
            FoundAs::AsPlanned => good += 1,
            FoundAs::Missing => missing += 1,
            FoundAs::NotComparable => unknown.push(what),
            FoundAs::Otherwise(error) => findings.fail(
                error,
                format!("delete the {what} and let a process declare it anew, or set what differs in [broker] back"),
            ),
        }
    }
    if good > 0 {
        findings.ok(format!("{good} exchanges and queues are as this version declares them"));
    }
    if missing > 0 {
        findings.ok(format!("{missing} exchanges and queues are not there yet: the first process declares them"));
    }
    if !unknown.is_empty() {
        findings.warn(format!("this user may not compare {}", unknown.join(", ")), RIGHTS);
    }
}

/// Sees that each queue somebody works on answers: one may have lost its leader while the broker goes on.
async fn look_at_queues(address: &Address, findings: &mut Findings) {
    let worked_on = Queue::ALL.into_iter().filter(|queue| *queue != Queue::Dead);
    let asked = worked_on.map(|queue| async move { (queue, ask(address, &queue.name()).await) });
    for (queue, answer) in futures_util::future::join_all(asked).await {
        let name = queue.name();
        match answer {
            ProbeOutcome::Given => {}
            ProbeOutcome::None => findings.fail(
                format!("queue {name} does not answer, although the broker does"),
                "processes that run remake it within 20 s; see \"RabbitMQ\" in OPERATIONS.md where they do not",
            ),
            ProbeOutcome::Broken(why) => {
                findings.fail(format!("queue {name} is broken: {why}"), "see \"RabbitMQ\" in OPERATIONS.md");
            }
            ProbeOutcome::Unknown(why) if why.contains("ACCESS_REFUSED") => {
                findings.fail(format!("this user may not read queue {name}"), RIGHTS);
            }
            ProbeOutcome::Unknown(why) => {
                findings.warn(format!("queue {name} cannot be asked: {why}"), "look into the broker's log");
            }
        }
    }
}

/// Has a replicated queue made for the purpose take a message: nothing is confirmed while an alarm blocks publishers, or the disk is full.
async fn look_at_disk(connection: &Connection, address: &Address, findings: &mut Findings) {
    match tokio::time::timeout(address.timeout, probe(connection)).await {
        Ok(Ok(())) => findings.ok("a new quorum queue takes a message and confirms it; no alarm blocks publishers"),
        Ok(Err(error)) if code(&error) == Some(ACCESS_REFUSED) => {
            findings.fail("this user may not declare, write and read queues named waitless.…", RIGHTS);
        }
        Ok(Err(error)) => findings.fail(
            format!("a new quorum queue takes no message: {error}"),
            "see that most nodes of the cluster run (`rabbitmqctl cluster_status`)",
        ),
        Err(_) => findings.fail(
            "confirms no message: an alarm of memory or disk blocks publishers, or too few nodes run",
            "look at `rabbitmq-diagnostics alarms` and `cluster_status`",
        ),
    }
}
