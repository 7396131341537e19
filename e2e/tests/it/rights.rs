//! The rights that the documentation asks for are enough for everything.

use model::job::{JobState, Lane};
use model::message::Queue;
use serde_json::json;

use crate::client::{bulk, quick, slow};
use crate::rabbitmq::ServerChoice;
use crate::stack::Stack;

/// Puts user and password into a URL, in place of those it has.
pub(crate) fn with_credentials(url: &str, credentials: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let host = rest.split_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{credentials}@{host}")
}

#[tokio::test(flavor = "multi_thread")]
async fn services_need_no_more_rights_than_the_documentation_says() {
    let operations = include_str!("../../../docs/OPERATIONS.md");
    assert!(operations.contains("the services need select, insert, update and delete"));
    assert!(
        operations.contains(r"configure, write and read on `waitless\..*` and on server-named queues (`amq\.gen.*`)")
    );
    let mut stack = Stack::prepare(ServerChoice::SharedServer, Vec::new()).await;
    for statement in [
        "create role clerk login password 'clerk'",
        "grant select, insert, update, delete on all tables in schema public to clerk",
    ] {
        stack.postgres.sql(statement).await.unwrap();
    }
    let user = format!("/api/users/{}", uuid::Uuid::new_v4());
    let name = user.rsplit_once('/').unwrap().1.to_owned();
    let what = r"^(waitless\..*|amq\.gen.*)$";
    let rights = json!({"configure": what, "write": what, "read": what});
    stack.rabbitmq.manage("PUT", &user, Some(&json!({"password": "clerk", "tags": ""}))).await.unwrap();
    stack.rabbitmq.manage("PUT", &format!("/api/permissions/{{vhost}}/{name}"), Some(&rights)).await.unwrap();
    let (database, broker) = (stack.postgres.url(), stack.rabbitmq.url());
    stack.set("WAITLESS_DATABASE__URL", with_credentials(&database, "clerk:clerk"));
    stack.set("WAITLESS_DATABASE__MIGRATE", "false".to_owned());
    stack.set("WAITLESS_BROKER__URL", with_credentials(&broker, &format!("{name}:clerk")));
    stack.add_gateway().await;
    stack.add_worker().await;
    stack.add_notifier().await;
    stack.client.submit_many(10, &quick().with_mail()).await;
    stack.client.submit_many(2, &bulk(100).with_mail()).await;
    // Events and cancels travel by queues that the server names.
    let long = stack.client.submit(&slow(30_000).that_ends(JobState::Cancelled)).await;
    stack.wait_for(long, JobState::Processing).await;
    stack.cancel(long).await;
    // A worker that dies is found and its job taken, and queues that are gone are declared again.
    stack.rabbitmq.vhost().delete_queue(&Queue::Work(Lane::Interactive).name()).await.unwrap();
    let interrupted = stack.client.submit(&slow(1_000).with_mail()).await;
    stack.wait_for(interrupted, JobState::Processing).await;
    stack.workers.remove(0).kill();
    stack.add_worker().await;
    stack.wait_for(interrupted, JobState::Done).await;
    stack.settle().await;
    for process in stack.gateways.iter().chain(&stack.workers).chain(&stack.notifiers) {
        let refused = process
            .log()
            .lines()
            .find(|line| line.contains("ACCESS_REFUSED") || line.contains("permission denied"))
            .map(str::to_owned);
        assert_eq!(refused, None);
    }
    stack.rabbitmq.manage("DELETE", &user, None).await.unwrap();
}
