//! Whatever somebody opened ends with what let them in: every kind of stream, by every way in which access ends.

use std::time::{Duration, Instant};

use chrono::Utc;
use model::access::{Session, hash_token, seal_session};
use model::artifact::Format;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use store::{Ending, Scope};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::api::{Api, Stack, ana, body, caller, header, id_of, on_both_stacks, problem};
use crate::sse::Stream;
use crate::ws::{Neighbour, Socket};

on_both_stacks!(
    everything_that_is_open_ends_when_the_key_is_revoked,
    everything_that_is_open_ends_when_the_key_expires,
    everything_that_is_open_ends_when_its_token_is_revoked,
    everything_that_is_open_ends_when_its_token_expires,
    everything_that_is_open_ends_when_somebody_signs_out_at_another_gateway,
    everything_that_is_open_ends_with_the_time_of_its_session,
    a_download_by_a_link_ends_when_the_link_is_revoked,
    a_session_that_was_signed_out_opens_nothing_at_any_gateway,
    a_browser_that_signs_in_as_somebody_else_ends_the_session_before,
    a_client_that_takes_nothing_gives_its_place_back,
);

/// What the API promises.
const PROMISE: Duration = Duration::from_secs(5);

/// Long enough to open everything on a busy machine.
const SHORT: Duration = Duration::from_secs(8);

/// More than all buffers between a gateway and a client hold.
const LARGE: usize = 48 << 20;

/// Somebody who was let in.
struct Guest {
    /// The header fields that say so.
    fields: Vec<(&'static str, String)>,
    /// The kind of problem that tells of the end.
    kind: &'static str,
    /// What a socket is closed with.
    reason: &'static str,
}

impl Guest {
    fn with_key(key: &str, kind: &'static str, reason: &'static str) -> Self {
        Self { fields: vec![("authorization", format!("Bearer {key}"))], kind, reason }
    }

    fn with_cookie(api: &Api, cookie: String, reason: &'static str) -> Self {
        let fields =
            vec![("cookie", cookie), ("origin", api.url.clone()), ("sec-fetch-site", "same-origin".to_owned())];
        Self { fields, kind: "unauthorized", reason }
    }

    fn ask(&self, api: &Api, method: Method, path: &str) -> RequestBuilder {
        let request = api.plain(method, path);
        self.fields.iter().fold(request, |request, (name, value)| request.header(*name, value))
    }

    fn fields(&self) -> Vec<(&str, &str)> {
        self.fields.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// Writes the head of a request by hand.
    fn head(&self, api: &Api, method: &str, path: &str, more: &str) -> String {
        let host = api.url.strip_prefix("http://").unwrap();
        let fields: String = self.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{fields}{more}\r\n")
    }
}

/// Everything that somebody can have open.
struct Opened {
    streams: Vec<Stream>,
    sockets: Vec<Socket>,
    download: TcpStream,
    upload: TcpStream,
    wait: tokio::task::JoinHandle<reqwest::Response>,
}

async fn large_file(api: &Api) -> Uuid {
    let id = api.submit_job().await;
    let job = api.claim(id).await;
    let content: &'static [u8] = vec![b'x'; LARGE].leak();
    let artifact = api.store_file(&job, Format::Csv, content).await;
    api.settle(&job, Ending::Done(vec![artifact])).await;
    id
}

async fn connect(api: &Api) -> TcpStream {
    TcpStream::connect(api.url.strip_prefix("http://").unwrap()).await.unwrap()
}

/// Begins a download and reads its head.
async fn begin_download(api: &Api, head: &str) -> TcpStream {
    let mut connection = connect(api).await;
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    connection.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    connection
}

/// Reads slowly until the gateway ends it, and returns how much there was.
async fn read_slowly(mut connection: TcpStream) -> usize {
    let (mut read, mut buffer) = (0, vec![0; 64 << 10]);
    while let Ok(some @ 1..) = connection.read(&mut buffer).await {
        read += some;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    read
}

impl Opened {
    async fn open(api: &Api, guest: &Guest, file: Uuid) -> Self {
        let running = api.submit_job().await;
        let one = format!("/v1/jobs/{running}/events");
        let mut streams = Vec::new();
        for path in ["/v1/events", &one] {
            streams.push(Stream::open(guest.ask(api, Method::GET, path)).await);
        }
        let ticket = body(guest.ask(api, Method::POST, "/v1/ws/ticket").send().await.unwrap()).await;
        let ticket =
            format!("{}, {}", ticket["protocols"][0].as_str().unwrap(), ticket["protocols"][1].as_str().unwrap());
        let over_one = format!("/v1/ws?job={running}");
        let mut sockets = Vec::new();
        for (path, fields) in [
            ("/v1/ws", guest.fields()),
            (over_one.as_str(), guest.fields()),
            ("/v1/ws", vec![("sec-websocket-protocol", ticket.as_str())]),
        ] {
            sockets.push(Socket::try_open(&api.url, path, &fields).await.unwrap());
        }
        let path = format!("/v1/jobs/{file}/artifacts/csv");
        let download = begin_download(api, &guest.head(api, "GET", &path, "")).await;
        let mut upload = connect(api).await;
        let length = "content-type: application/json\r\ncontent-length: 21\r\n";
        upload.write_all(guest.head(api, "POST", "/v1/jobs", length).as_bytes()).await.unwrap();
        let wait =
            guest.ask(api, Method::POST, "/v1/jobs").header("prefer", "wait=30").json(&json!({"report": "numbers"}));
        let wait = tokio::spawn(async move { wait.send().await.unwrap() });
        Self { streams, sockets, download, upload, wait }
    }

    /// Waits until all of it has ended, each with its reason.
    async fn end(self, guest: &Guest, since: Instant) {
        let in_time = |what: &str| assert!(since.elapsed() < PROMISE, "{what} ended after {:?}", since.elapsed());
        let download = tokio::spawn(read_slowly(self.download));
        for mut stream in self.streams {
            let last = loop {
                let frame = stream.next_event().await.expect("a reason before the end");
                if frame.name.as_deref() == Some("closed") {
                    break frame;
                }
            };
            in_time("a stream");
            let said = last.data.unwrap()["data"].clone();
            assert_eq!(said["type"], format!("{}{}", model::problem::TYPE_PREFIX, guest.kind));
            assert_eq!(stream.next().await, None);
        }
        for mut socket in self.sockets {
            assert_eq!(socket.closed().await, (4401, guest.reason.to_owned()));
            in_time("a socket");
        }
        let (status, kind, _) = problem(self.wait.await.unwrap()).await;
        assert_eq!((status, kind.as_str()), (401, guest.kind), "a request that waits");
        in_time("a request that waits");
        let read = download.await.unwrap();
        in_time("a download");
        assert!(read < LARGE, "all {read} bytes came");
        // What is sent in the end counts no more than what comes anew.
        let mut upload = self.upload;
        tokio::time::sleep(Duration::from_secs(3).saturating_sub(since.elapsed())).await;
        upload.write_all(b"{\"report\": \"numbers\"}").await.unwrap();
        let mut first = [0; 12];
        upload.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 401", "a body that began before the end");
    }
}

/// Opens everything, ends the guest's access by `end`, and sees everything end and nothing open again.
async fn check(api: &Api, guest: &Guest, file: Uuid, end: impl AsyncFnOnce() -> Instant) {
    let opened = Opened::open(api, guest, file).await;
    let since = end().await;
    // The principal goes on with another key, so that there is something to tell.
    api.submit_job().await;
    opened.end(guest, since).await;
    let refused = guest.ask(api, Method::GET, "/v1/jobs").send().await.unwrap();
    let (status, kind, _) = problem(refused).await;
    assert_eq!((status, kind.as_str()), (401, guest.kind));
}

async fn everything_that_is_open_ends_when_the_key_is_revoked(stack: Stack) {
    let api = Api::start(stack).await;
    let file = large_file(&api).await;
    let (key, id) = api.make_key_for(&ana(), &Scope::ALL, None).await;
    let guest = Guest::with_key(&key, "unauthorized", "the API key was revoked");
    check(&api, &guest, file, async || {
        assert!(api.backends.store.revoke_api_key(id).await.unwrap());
        Instant::now()
    })
    .await;
    api.stop().await;
}

async fn everything_that_is_open_ends_when_the_key_expires(stack: Stack) {
    let api = Api::start(stack).await;
    let file = large_file(&api).await;
    let (key, _) = api.make_key_for(&ana(), &Scope::ALL, Some(SHORT)).await;
    let expires = Instant::now() + SHORT;
    let guest = Guest::with_key(&key, "key-expired", "the API key has expired");
    check(&api, &guest, file, async || {
        tokio::time::sleep_until(expires.into()).await;
        expires
    })
    .await;
    api.stop().await;
}

/// Has a token minted for Ana, and returns it with its id and the key that minted it.
async fn mint(api: &Api, seconds: u64) -> (String, Uuid, String) {
    let backend = api.make_key(&caller("acme", "shop"), &[Scope::Mint, Scope::Read, Scope::Write]).await;
    let asked = json!({"principal": ana().principal, "reports": ["numbers"], "valid_for": seconds});
    let answer = api.plain(Method::POST, "/v1/tokens").bearer_auth(&backend).json(&asked).send().await.unwrap();
    let minted = body(answer).await;
    (minted["token"].as_str().unwrap().to_owned(), id_of(&minted), backend)
}

async fn everything_that_is_open_ends_when_its_token_is_revoked(stack: Stack) {
    let api = Api::start(stack).await;
    let file = large_file(&api).await;
    let (token, id, backend) = mint(&api, 900).await;
    let guest = Guest::with_key(&token, "unauthorized", "the token was revoked");
    check(&api, &guest, file, async || {
        let request = api.plain(Method::POST, "/v1/tokens/revoke").bearer_auth(&backend).json(&json!({"id": id}));
        assert_eq!(request.send().await.unwrap().status(), 204);
        Instant::now()
    })
    .await;
    api.stop().await;
}

async fn everything_that_is_open_ends_when_its_token_expires(stack: Stack) {
    let api = Api::start(stack).await;
    let file = large_file(&api).await;
    let (token, ..) = mint(&api, SHORT.as_secs()).await;
    let expires = Instant::now() + SHORT;
    let guest = Guest::with_key(&token, "token-expired", "the token has expired");
    check(&api, &guest, file, async || {
        tokio::time::sleep_until(expires.into()).await;
        expires
    })
    .await;
    api.stop().await;
}

/// Signs a browser in and returns `name=token`.
async fn sign_in(api: &Api, key: &str, cookie: Option<&str>) -> String {
    let request = api.plain(Method::POST, "/v1/session").header("origin", &api.url).json(&json!({"key": key}));
    let request = cookie
        .map_or_else(|| request.try_clone().unwrap(), |cookie| request.try_clone().unwrap().header("cookie", cookie));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    header(&answer, "set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

async fn sign_out(api: &Api, url: &str, cookie: &str) {
    let out = api.plain(Method::DELETE, &format!("{url}/v1/session")).header("cookie", cookie).header("origin", url);
    assert_eq!(out.send().await.unwrap().status(), 204);
}

async fn everything_that_is_open_ends_when_somebody_signs_out_at_another_gateway(stack: Stack) {
    let api = Api::start(stack).await;
    let other = Neighbour::start(&api, stack).await;
    let file = large_file(&api).await;
    let cookie = sign_in(&api, &api.key, None).await;
    let guest = Guest::with_cookie(&api, cookie.clone(), "the browser was signed out");
    check(&api, &guest, file, async || {
        sign_out(&api, &other.url, &cookie).await;
        Instant::now()
    })
    .await;
    api.submit_job().await;
    other.stop().await;
    api.stop().await;
}

async fn everything_that_is_open_ends_with_the_time_of_its_session(stack: Stack) {
    let api = Api::start(stack).await;
    let name = sign_in(&api, &api.key, None).await.split('=').next().unwrap().to_owned();
    let file = large_file(&api).await;
    let until = Utc::now().timestamp() + SHORT.as_secs().cast_signed();
    let session = Session { id: Uuid::new_v4(), key_hash: hash_token(&api.key), until };
    let sealed = seal_session(api.config.service.link_secret.expose(), session);
    let guest = Guest::with_cookie(&api, format!("{name}={sealed}"), "the session is over");
    check(&api, &guest, file, async || {
        let left = (until * 1000 - Utc::now().timestamp_millis()).max(0).unsigned_abs();
        let end = Instant::now() + Duration::from_millis(left);
        tokio::time::sleep_until(end.into()).await;
        end
    })
    .await;
    api.stop().await;
}

async fn a_download_by_a_link_ends_when_the_link_is_revoked(stack: Stack) {
    let api = Api::start(stack).await;
    let file = large_file(&api).await;
    let link = api.read(file).await["artifacts"][0]["link"].as_str().unwrap().to_owned();
    let path = link.strip_prefix(&api.url).unwrap();
    let download = begin_download(&api, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await;
    let revoked = api.post(&format!("/v1/jobs/{file}/artifacts/csv/revoke-link")).send().await.unwrap();
    assert_eq!(body(revoked).await, json!({"revoked": true}));
    let since = Instant::now();
    let read = read_slowly(download).await;
    assert!(since.elapsed() < PROMISE && read < LARGE, "{read} bytes came in {:?}", since.elapsed());
    api.stop().await;
}

async fn who(api: &Api, url: &str, cookie: &str) -> Value {
    body(api.plain(Method::GET, &format!("{url}/v1/session")).header("cookie", cookie).send().await.unwrap()).await
}

async fn a_session_that_was_signed_out_opens_nothing_at_any_gateway(stack: Stack) {
    let mut api = Api::start(stack).await;
    let other = Neighbour::start(&api, stack).await;
    let (cookie, spare) = (sign_in(&api, &api.key, None).await, sign_in(&api, &api.key, None).await);
    for url in [&api.url, &other.url] {
        assert_eq!(who(&api, url, &cookie).await["signed_in"], true);
    }
    sign_out(&api, &api.url, &cookie).await;
    assert_eq!(who(&api, &api.url, &cookie).await, json!({"signed_in": false}), "at once where it was signed out");
    testing::eventually(PROMISE, "the other gateway hears of it", async || {
        who(&api, &other.url, &cookie).await["signed_in"] == false
    })
    .await;
    let jobs = api.plain(Method::GET, "/v1/jobs").header("cookie", &cookie).send().await.unwrap();
    assert_eq!(problem(jobs).await.1, "unauthorized");
    assert_eq!(who(&api, &api.url, &spare).await["signed_in"], true, "another browser of theirs goes on");
    api.restart_gateway().await;
    assert_eq!(who(&api, &api.url, &cookie).await, json!({"signed_in": false}), "also for a gateway that starts");
    other.stop().await;
    api.stop().await;
}

async fn a_browser_that_signs_in_as_somebody_else_ends_the_session_before(stack: Stack) {
    let api = Api::start(stack).await;
    let ben = api.make_key(&caller("acme", "ben"), &Scope::ALL).await;
    let before = sign_in(&api, &api.key, None).await;
    let after = sign_in(&api, &ben, Some(&before)).await;
    assert_eq!(who(&api, &api.url, &before).await, json!({"signed_in": false}));
    assert_eq!(who(&api, &api.url, &after).await["principal"], "ben");
    api.stop().await;
}

async fn a_client_that_takes_nothing_gives_its_place_back(stack: Stack) {
    let api = Api::start_with(stack, |config| {
        config.http.max_watchers_per_principal = 1;
        config.http.ping_every = Duration::from_millis(200);
    })
    .await;
    let id = id_of(&body(api.submit(&json!({"report": "numbers"})).await).await);
    let job = api.claim(id).await;
    let silent = connect(&api).await;
    let socket = socket2::SockRef::from(&silent);
    socket.set_recv_buffer_size(4096).unwrap();
    let mut silent = silent;
    let head = format!("GET /v1/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n", api.key);
    silent.write_all(head.as_bytes()).await.unwrap();
    let place = || api.get("/v1/events").send();
    testing::eventually(PROMISE, "the place is taken", async || place().await.unwrap().status() == 429).await;
    // Progress fills what lies between the gateway and a client that does not read; then nothing is taken any more.
    testing::eventually(Duration::from_secs(60), "the place is given back", async || {
        for rows in 0..500 {
            let progress = model::progress::Progress { rows, ..job.progress };
            let (job_id, attempt) = (id, job.attempt);
            let told = model::event::Broadcast::Progress { job_id, caller: ana(), attempt, progress };
            api.backends.broker.broadcast(told);
        }
        place().await.unwrap().status() == 200
    })
    .await;
    drop(silent);
    api.stop().await;
}
