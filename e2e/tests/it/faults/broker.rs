//! The broker is only a doorbell: whatever happens to it, every accepted job is run once.

use std::time::{Duration, Instant};

use model::delivery::Channel;
use model::job::{JobState, Lane};
use model::message::Queue;
use testing::eventually;

use crate::client::{Answer, bulk, quick, slow};
use crate::rabbitmq::ServerChoice;
use crate::rights::with_credentials;
use crate::stack::{Options, SOON, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_loses_its_disk_loses_no_job_and_no_mail() {
    let mut stack = Stack::start_with_own_rabbitmq(2).await;
    stack.client.submit_many(30, &quick().with_mail()).await;
    stack.client.submit_many(40, &slow(200).with_mail()).await;
    stack.wait_until_some_are(JobState::Processing, 1).await;
    stack.wait_until_some_are(JobState::Pending, 10).await;
    stack.rabbitmq.server_mut().wipe().await.unwrap();
    stack.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_accepted_while_the_broker_is_stopped_and_run_once_it_is_back() {
    let mut stack = Stack::start_with_own_rabbitmq(2).await;
    let before = stack.client.submit_many(4, &slow(1500).with_mail()).await;
    stack.wait_until_some_are(JobState::Processing, 4).await;
    stack.rabbitmq.server_mut().stop().await.unwrap();
    stack.client.submit_many(60, &quick().with_mail()).await;
    for operation in stack.client.operations() {
        let (first, took) = &operation.answers[0];
        assert!(matches!(first, Answer::Accepted(_)) && *took < Duration::from_secs(2), "{first:?} after {took:?}");
    }
    // What runs goes on meanwhile: correctness does not depend on an acknowledgement.
    for id in before {
        assert_eq!(stack.wait_for(id, JobState::Done).await.attempt, 1);
    }
    stack.rabbitmq.server_mut().start_again().await.unwrap();
    stack.settle().await;
}

/// RabbitMQ forgets which members its quorum queues have when it is killed before it wrote that down, and leaves such queues without a
/// leader: seldom all, often the one declared last. Processes find out and make them anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_killed_right_after_its_queues_were_declared_loses_no_job_and_no_mail() {
    let own = ServerChoice::OwnServer(testing::rabbitmq::Options::default());
    let mut stack = Stack::prepare(own, Vec::new()).await;
    stack.add_gateway().await;
    stack.rabbitmq.server_mut().kill();
    stack.client.submit_many(30, &quick().with_mail()).await;
    stack.rabbitmq.server_mut().start_again().await.unwrap();
    for _ in 0..2 {
        stack.add_worker().await;
    }
    stack.add_notifier().await;
    stack.client.submit_many(30, &quick().with_mail()).await;
    stack.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_left_without_a_leader_are_made_anew_and_cost_no_job_and_no_mail() {
    let stack = Stack::start_with_own_rabbitmq(2).await;
    let before = stack.client.submit_many(8, &slow(3_000).with_mail()).await;
    stack.wait_until_some_are(JobState::Processing, 4).await;
    for queue in [Queue::Work(Lane::Interactive), Queue::Notify(Channel::Email)] {
        stack.rabbitmq.server().silence_queue(&queue.name()).await.unwrap();
    }
    stack.client.submit_many(40, &quick().with_mail()).await;
    // The other lane does not notice.
    let other = stack.client.submit_many(4, &bulk(100)).await;
    let since = Instant::now();
    for id in other {
        stack.wait_for(id, JobState::Done).await;
    }
    println!("the other lane was through after {:?}", since.elapsed());
    stack.settle().await;
    for id in before {
        assert_eq!(stack.job(id).await.crashes, 0);
    }
    // The log names each when it is found out of order, and when it is remade.
    let processes = || stack.gateways.iter().chain(&stack.workers).chain(&stack.notifiers);
    let logs: String = processes().map(testing::process::Process::log).collect();
    for queue in [Queue::Work(Lane::Interactive), Queue::Notify(Channel::Email)] {
        let name = queue.name();
        let lines: Vec<&str> = logs.lines().filter(|line| line.contains(&*name)).collect();
        assert!(
            lines.iter().any(|line| line.contains("this queue is out of order while RabbitMQ answers")),
            "{lines:#?}"
        );
        assert!(lines.iter().any(|line| line.contains("so it was deleted and declared anew")), "{lines:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_configure_leaves_a_queue_out_of_order_and_the_log_says_what_to_delete() {
    let mut stack = Stack::start_with_own_rabbitmq(0).await;
    let right = stack.rabbitmq.url();
    let server = stack.rabbitmq.server();
    server.ctl(&["add_user", "clerk", "clerk"]).await.unwrap();
    server.ctl(&["set_permissions", "clerk", r"^amq\.gen.*$", ".*", ".*"]).await.unwrap();
    stack.set("WAITLESS_BROKER__URL", with_credentials(&right, "clerk:clerk"));
    // The only ones left are those of the user with fewer rights; the queues are there already.
    stack.remove_gateway(0).kill();
    stack.notifiers.remove(0).kill();
    stack.add_gateway().await;
    let queue = Queue::Work(Lane::Interactive).name();
    stack.rabbitmq.server().silence_queue(&queue).await.unwrap();
    let jobs = stack.client.submit_many(3, &quick()).await;
    let cure =
        format!("this user may not delete it: delete {queue} and declare it anew, or grant `configure` on waitless.*");
    eventually(SOON, "the log says what to do", async || {
        let log = stack.gateways[0].log();
        if log.contains(&cure) { Ok(()) } else { Err(log) }
    })
    .await;
    assert_eq!(stack.gateways[0].log().matches(&cure).count(), 1, "once");
    // Whoever may do so mends it.
    stack.set("WAITLESS_BROKER__URL", right);
    stack.add_worker().await;
    stack.add_notifier().await;
    for id in jobs {
        stack.wait_for(id, JobState::Done).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_that_are_purged_or_deleted_and_connections_that_are_closed_cost_no_job() {
    let stack = Stack::start(2).await;
    let wish = slow(100).with_mail();
    let submit = async || drop(stack.client.submit_many(40, &wish).await);
    submit().await;
    stack.purge_every_queue().await;
    submit().await;
    eventually(SOON, "the broker lists two connections of each of the four processes", async || {
        let listed = stack.rabbitmq.manage("GET", "/api/vhosts/{vhost}/connections", None).await;
        let listed = listed.map_err(|error| error.to_string())?.as_array().map_or(0, Vec::len);
        if listed >= 8 { Ok(()) } else { Err(format!("{listed}")) }
    })
    .await;
    assert!(stack.rabbitmq.vhost().close_connections().await.unwrap() >= 8);
    submit().await;
    stack.rabbitmq.vhost().delete_queue(&Queue::Work(Lane::Interactive).name()).await.unwrap();
    submit().await;
    stack.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doorbells_that_come_many_times_and_in_any_order_run_each_job_once() {
    let stack = Stack::start_with_own_rabbitmq(3).await;
    let mut jobs = stack.client.submit_many(40, &quick().with_mail()).await;
    jobs.extend(stack.client.submit_many(12, &slow(400).with_mail()).await);
    stack.ring_again(&jobs, 5).await;
    stack.settle().await;
    // Also for jobs that have ended.
    stack.ring_again(&jobs, 3).await;
    eventually(SOON, "every doorbell is answered", async || {
        let queues =
            stack.rabbitmq.server().ctl(&["list_queues", "name", "messages"]).await.map_err(|e| e.to_string())?;
        let name = Queue::Work(Lane::Interactive).name();
        let line = queues.lines().find(|line| line.starts_with(&name)).ok_or("no such queue")?;
        if line.ends_with("\t0") { Ok(()) } else { Err(line.to_owned()) }
    })
    .await;
    stack.settle().await;
    for id in jobs {
        assert_eq!(stack.job(id).await.attempt, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_longer_than_the_consumer_timeout_runs_once() {
    let configuration = vec!["consumer_timeout = 10000".to_owned()];
    let rabbitmq = ServerChoice::OwnServer(testing::rabbitmq::Options { management: false, configuration });
    let settings = vec![("WAITLESS_BROKER__HAND_OFF_AFTER", "3s".to_owned())];
    let mut stack = Stack::start_with(Options { rabbitmq, settings, ..Options::default() }).await;
    // The server looks once a minute whether a time-out has struck.
    stack.rabbitmq.server().ctl(&["eval", "application:set_env(rabbit, channel_tick_interval, 1000)."]).await.unwrap();
    stack.add_gateway().await;
    stack.add_notifier().await;
    for _ in 0..2 {
        stack.add_worker().await;
    }
    let long = stack.client.submit(&slow(20_000).with_mail()).await;
    stack.wait_for(long, JobState::Processing).await;
    // More long ones than one worker has places, and short ones that must not wait for them.
    stack.client.submit_many(4, &slow(13_000)).await;
    let short = stack.client.submit_many(20, &quick().with_mail()).await;
    for id in short {
        stack.wait_for(id, JobState::Done).await;
    }
    assert_eq!(stack.job(long).await.state, JobState::Processing);
    let done = stack.wait_for(long, JobState::Done).await;
    assert_eq!((done.attempt, done.crashes), (1, 0));
    let closed = stack.rabbitmq.server().log().lines().filter(|line| line.contains("has timed out")).count();
    assert_eq!(closed, 0, "the broker's time-out struck");
    stack.settle().await;
}
