//! RabbitMQ: a fresh virtual host on the run's server, or a server of the test's own to be mistreated.

mod installation;
mod management;
mod server;

pub use server::{Options, Server};

use anyhow::Context;
use management::Management;

/// Names a server to use in place of a private one: `amqp://user:password@host:port`. Its management plugin must be on.
pub const VARIABLE: &str = "WAITLESS_TEST_RABBITMQ_URL";
/// The address of that server's management plugin; `http://user:password@host:15672` of the same server if not given.
pub const MANAGEMENT_VARIABLE: &str = "WAITLESS_TEST_RABBITMQ_MANAGEMENT_URL";

/// A fresh, empty virtual host. Deleted with this value.
#[derive(Debug)]
#[must_use = "the virtual host is deleted with this value"]
pub struct VirtualHost {
    name: String,
    url: String,
    management: Management,
}

/// Makes a fresh virtual host on the server all tests of this run share.
///
/// # Errors
/// When neither `WAITLESS_TEST_RABBITMQ_URL` names a server nor one can be started; the text says what to do.
pub async fn fresh_vhost() -> anyhow::Result<VirtualHost> {
    let (amqp, management) = match crate::environment::variable(VARIABLE) {
        Some(amqp) => {
            let management =
                crate::environment::variable(MANAGEMENT_VARIABLE).map_or_else(|| management_of(&amqp), Ok)?;
            (amqp, management)
        }
        None => {
            let both = crate::run::server("rabbitmq", Server::start_for_run).await?;
            let (amqp, management) = both.split_once(' ').context("read the address of the run's RabbitMQ")?;
            (amqp.to_owned(), management.to_owned())
        }
    };
    let management = Management::new(&management)?;
    let name = format!("waitless-{}", uuid::Uuid::new_v4().simple());
    management.create_vhost(&name).await?;
    Ok(VirtualHost { url: format!("{}/{name}", without_vhost(&amqp)), name, management })
}

impl VirtualHost {
    /// `amqp://user:password@host:port/vhost`
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The name of the virtual host.
    #[must_use]
    pub fn vhost(&self) -> &str {
        &self.name
    }

    /// `http://user:password@host:port` of the management plugin.
    #[must_use]
    pub fn management_url(&self) -> &str {
        self.management.url()
    }

    /// Calls the management API: `method` is `GET`, `PUT`, `POST` or `DELETE`, `path` starts with `/api/`; `{vhost}` in it stands
    /// for this virtual host. Returns the answer, `null` where it has no body.
    ///
    /// # Errors
    /// When RabbitMQ cannot be reached or answers anything but 2xx.
    pub async fn manage(
        &self,
        method: &str,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> anyhow::Result<serde_json::Value> {
        self.management.call(method, &path.replace("{vhost}", &self.name), body).await
    }

    /// Throws away every message that waits in a queue.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn purge(&self, queue: &str) -> anyhow::Result<()> {
        self.manage("DELETE", &format!("/api/queues/{{vhost}}/{queue}/contents"), None).await.map(drop)
    }

    /// Deletes a queue with its bindings and messages.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn delete_queue(&self, queue: &str) -> anyhow::Result<()> {
        self.manage("DELETE", &format!("/api/queues/{{vhost}}/{queue}"), None).await.map(drop)
    }

    /// The names of all queues.
    ///
    /// # Errors
    /// When RabbitMQ cannot be reached.
    pub async fn queues(&self) -> anyhow::Result<Vec<String>> {
        let queues = self.manage("GET", "/api/queues/{vhost}?columns=name", None).await?;
        let names = queues.as_array().context("a list of queues")?.iter();
        Ok(names.filter_map(|queue| Some(queue.get("name")?.as_str()?.to_owned())).collect())
    }

    /// Closes every connection to this virtual host from the server's side.
    ///
    /// # Errors
    /// When RabbitMQ cannot be reached.
    pub async fn close_connections(&self) -> anyhow::Result<usize> {
        let all = self.manage("GET", "/api/vhosts/{vhost}/connections", None).await?;
        let names: Vec<&str> =
            all.as_array().into_iter().flatten().filter_map(|one| one.get("name")?.as_str()).collect();
        for name in &names {
            let path = format!("/api/connections/{}", management::escape(name));
            self.manage("DELETE", &path, None).await?;
        }
        Ok(names.len())
    }
}

impl Drop for VirtualHost {
    fn drop(&mut self) {
        // A runtime of its own: the test's may be gone, or be the one that drops us.
        let (management, name) = (self.management.clone(), self.name.clone());
        let deleting = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(management.delete_vhost(&name)).ok()
        });
        let _best_effort = deleting.join();
    }
}

/// The URL without its virtual host.
fn without_vhost(amqp: &str) -> &str {
    let host_at = amqp.find("://").map_or(0, |at| at + 3);
    amqp[host_at..].find('/').map_or(amqp, |at| &amqp[..host_at + at])
}

fn management_of(amqp: &str) -> anyhow::Result<String> {
    let authority = without_vhost(amqp).split_once("://").context("an amqp:// URL")?.1;
    let (user, host) = authority.rsplit_once('@').unwrap_or(("guest:guest", authority));
    let host = host.rsplit_once(':').map_or(host, |(host, _port)| host);
    Ok(format!("http://{user}@{host}:15672"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_management_address_follows_from_the_url() {
        assert_eq!(management_of("amqp://a:b@host:5672/x").unwrap(), "http://a:b@host:15672");
        assert_eq!(management_of("amqp://host").unwrap(), "http://guest:guest@host:15672");
        assert_eq!(without_vhost("amqp://a:b@host:5672/%2f"), "amqp://a:b@host:5672");
    }

    #[tokio::test]
    async fn two_tests_see_two_virtual_hosts() {
        let (one, other) = (fresh_vhost().await.unwrap(), fresh_vhost().await.unwrap());
        let quorum = serde_json::json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
        one.manage("PUT", "/api/queues/{vhost}/only-here", Some(&quorum)).await.unwrap();
        one.purge("only-here").await.unwrap();
        assert_eq!(one.queues().await.unwrap(), ["only-here"]);
        assert!(other.queues().await.unwrap().is_empty());
        one.delete_queue("only-here").await.unwrap();
        assert!(one.purge("only-here").await.is_err());
        assert_eq!(one.close_connections().await.unwrap(), 0);
    }
}
