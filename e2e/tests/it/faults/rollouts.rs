//! Gateways are replaced one by one while people submit, as an orchestrator does it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use testing::eventually;
use tokio::net::{TcpListener, TcpStream};

use crate::client::{Answer, quick};
use crate::stack::{Options, SOON, Stack};

/// The balancer asks this often who is ready: it learns of a stop late, as real ones do.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A small balancer: each connection goes to the next gateway that was ready when it last asked.
struct Balancer {
    url: String,
    gateways: Arc<Mutex<Vec<(String, bool)>>>,
    refused: Arc<AtomicUsize>,
}

impl Balancer {
    async fn start(gateways: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let gateways = Arc::new(Mutex::new(gateways.into_iter().map(|gateway| (gateway, true)).collect::<Vec<_>>()));
        let refused = Arc::new(AtomicUsize::new(0));
        tokio::spawn(look(Arc::clone(&gateways)));
        let (ready, told) = (Arc::clone(&gateways), Arc::clone(&refused));
        tokio::spawn(async move {
            for turn in 0_usize.. {
                let (mut client, _) = listener.accept().await.unwrap();
                let open: Vec<String> =
                    lock(&ready).iter().filter(|(_, ready)| *ready).map(|(gateway, _)| gateway.clone()).collect();
                let gateway = open[turn % open.len()].trim_start_matches("http://").to_owned();
                let told = Arc::clone(&told);
                tokio::spawn(async move {
                    match TcpStream::connect(&gateway).await {
                        Ok(mut server) => drop(tokio::io::copy_bidirectional(&mut client, &mut server).await),
                        Err(_) => drop(told.fetch_add(1, Ordering::Relaxed)),
                    }
                });
            }
        });
        Self { url, gateways, refused }
    }

    fn add(&self, gateway: String) {
        lock(&self.gateways).push((gateway, true));
    }

    fn is_ready(&self, gateway: &str) -> bool {
        lock(&self.gateways).iter().any(|(url, ready)| url == gateway && *ready)
    }
}

fn lock(gateways: &Mutex<Vec<(String, bool)>>) -> std::sync::MutexGuard<'_, Vec<(String, bool)>> {
    gateways.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks every gateway again and again whether it is ready.
async fn look(gateways: Arc<Mutex<Vec<(String, bool)>>>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        let urls: Vec<String> = lock(&gateways).iter().map(|(gateway, _)| gateway.clone()).collect();
        for url in urls {
            let ready = reqwest::get(format!("{url}/readyz")).await.is_ok_and(|answer| answer.status().is_success());
            if let Some(known) = lock(&gateways).iter_mut().find(|(gateway, _)| *gateway == url) {
                known.1 = ready;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_replaced_one_by_one_behind_a_balancer_refuse_no_connection_and_no_submit() {
    let mut stack = Stack::start_with(Options {
        gateways: 2,
        workers: 1,
        notifiers: 1,
        settings: vec![("WAITLESS_HTTP__CLOSE_AFTER", "5s".to_owned())],
        ..Options::default()
    })
    .await;
    let balancer = Balancer::start(stack.gateways.iter().map(|gateway| gateway.url()).collect()).await;
    let ended = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for _ in 0..4 {
        let (client, url, ended) = (stack.client.clone(), balancer.url.clone(), Arc::clone(&ended));
        clients.push(tokio::spawn(async move {
            let mut answers = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let place = client.note(&quick());
                answers.push(client.try_once(place, &quick(), Some(&url)).await);
            }
            answers
        }));
    }
    for _ in 0..2 {
        stack.add_gateway().await;
        balancer.add(stack.gateways.last().unwrap().url());
        let mut former = stack.remove_gateway(0);
        former.terminate().unwrap();
        let url = former.url();
        eventually(SOON, "the balancer to notice", async || (!balancer.is_ready(&url)).then_some(())).await;
        assert_eq!(former.wait(SOON).await.unwrap().code(), Some(0), "{}", former.log());
    }
    ended.store(true, Ordering::Relaxed);
    let mut accepted = 0;
    for client in clients {
        for answer in client.await.unwrap() {
            assert!(matches!(answer, Answer::Accepted(_)), "{answer:?}");
            accepted += 1;
        }
    }
    assert_eq!(balancer.refused.load(Ordering::Relaxed), 0);
    assert!(accepted > 50, "only {accepted} submits were sent meanwhile");
    stack.settle().await;
}
