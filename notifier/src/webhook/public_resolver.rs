//! Looks up where an endpoint is, and answers with addresses of the public internet only. What is connected to is what was looked up
//! here, so that a name that leads elsewhere a moment later leads nowhere.

use std::net::SocketAddr;

use configuration::is_public;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Resolves names as the system does, and keeps back what is not public.
#[derive(Debug)]
pub(super) struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (public, inner): (Vec<SocketAddr>, Vec<SocketAddr>) = found.partition(|found| is_public(found.ip()));
            if let (true, Some(first)) = (public.is_empty(), inner.first()) {
                return Err(format!(
                    "{} leads to {}, which is no address of the public internet; see allow_private in docs/WEBHOOKS.md",
                    name.as_str(),
                    first.ip()
                )
                .into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}
