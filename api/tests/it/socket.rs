//! `GET /v1/ws`.

use std::time::Duration;

use chrono::Utc;
use model::access::{Ticket, TicketHolder, hash_token, seal_ticket};
use model::event::Broadcast;
use model::progress::{Phase, Progress};
use serde_json::Value;
use store::Scope;
use tokio::io::AsyncReadExt as _;
use uuid::Uuid;

use crate::api::{Api, Stack, ana, body, caller, header, on_both_stacks, problem};
use crate::sse::Stream;
use crate::ws::{Neighbour, Said, Socket};

on_both_stacks!(
    a_socket_and_a_stream_at_different_gateways_show_the_same,
    a_socket_over_chosen_jobs_shows_them_from_their_start_and_closes_after_their_ends,
    a_socket_over_a_job_resumes_behind_any_event,
    progress_comes_without_an_id,
    a_page_of_another_origin_opens_a_socket_with_a_ticket_and_not_with_a_cookie,
    a_ticket_opens_nothing_but_a_socket_and_not_for_long,
    what_is_no_handshake_or_asks_for_nonsense_is_refused_with_a_problem,
    a_client_that_speaks_is_told_that_nothing_is_expected,
    a_client_that_gives_no_sign_of_life_is_let_go,
    sockets_close_when_the_gateway_stops_and_when_the_key_ends,
    sockets_take_places_of_watchers_and_give_them_back,
);

fn state_of(said: &Value) -> (Value, Value, Value) {
    (said["id"].clone(), said["event"].clone(), said["data"].clone())
}

async fn states_of_stream(stream: &mut Stream, count: usize) -> Vec<(Value, Value, Value)> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let frame = stream.next_state().await.unwrap();
        seen.push((frame.id.into(), frame.name.into(), frame.data.unwrap()));
    }
    seen
}

async fn states_of_socket(socket: &mut Socket, count: usize) -> Vec<(Value, Value, Value)> {
    let mut seen = Vec::new();
    while seen.len() < count {
        seen.push(state_of(&socket.next_state().await.unwrap()));
    }
    seen
}

async fn a_socket_and_a_stream_at_different_gateways_show_the_same(stack: Stack) {
    let api = Api::start(stack).await;
    let other = Neighbour::start(&api, stack).await;
    let there = format!("{}/v1/events", other.url);
    let mut streams = [Stream::open(api.get("/v1/events")).await, Stream::open(api.get(&there)).await];
    let mut sockets =
        [Socket::open(&api.url, "/v1/ws", &api.key).await, Socket::open(&other.url, "/v1/ws", &api.key).await];
    let (one, two) = (api.submit_job().await, api.submit_job().await);
    api.finish(one, b"x").await;
    api.fail(two).await;
    let expected = states_of_stream(&mut streams[0], 6).await;
    assert_eq!(states_of_stream(&mut streams[1], 6).await, expected);
    for socket in &mut sockets {
        assert_eq!(states_of_socket(socket, 6).await, expected);
    }
    // A connection that broke is resumed at the other gateway, over the other transport.
    for place in 0..5 {
        let last = expected[place].0.as_str().unwrap();
        let path = format!("/v1/ws?last_event_id={last}");
        let mut socket = Socket::open(&other.url, &path, &api.key).await;
        assert_eq!(states_of_socket(&mut socket, 5 - place).await, expected[place + 1..]);
        let mut stream = Stream::open(api.get("/v1/events").header("last-event-id", last)).await;
        assert_eq!(states_of_stream(&mut stream, 5 - place).await, expected[place + 1..]);
    }
    other.stop().await;
    api.stop().await;
}

async fn a_socket_over_chosen_jobs_shows_them_from_their_start_and_closes_after_their_ends(stack: Stack) {
    let api = Api::start(stack).await;
    let (one, other, two) = (api.submit_job().await, api.submit_job().await, api.submit_job().await);
    let mut socket = Socket::open(&api.url, &format!("/v1/ws?job={one}&job={two}"), &api.key).await;
    api.finish(other, b"x").await;
    api.finish(one, b"x").await;
    api.fail(two).await;
    let mut seen = Vec::new();
    while let Said::Event(said) = socket.next().await {
        if !said["id"].is_null() {
            assert_eq!(said["id"], said["data"]["id"], "what to resume from is the CloudEvent's own id");
            seen.push((
                said["data"]["subject"].as_str().unwrap().to_owned(),
                said["event"].as_str().unwrap().to_owned(),
            ));
        }
    }
    let of = |id: Uuid| {
        seen.iter().filter(|(job, _)| *job == id.to_string()).map(|(_, name)| name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!((of(one), of(two)), (vec!["submitted", "started", "done"], vec!["submitted", "started", "failed"]));
    assert_eq!(seen.len(), 6);
    let mut late = Socket::open(&api.url, &format!("/v1/ws?job={one}/3&job={two}/3"), &api.key).await;
    assert_eq!(late.next().await, Said::Closed(1000, "every job has ended".to_owned()));
    api.stop().await;
}

async fn a_socket_over_a_job_resumes_behind_any_event(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    api.finish(id, b"x").await;
    let mut stream = Stream::open(api.get(&format!("/v1/jobs/{id}/events"))).await;
    let expected: Vec<Value> = states_of_stream(&mut stream, 3).await.into_iter().map(|(_, _, data)| data).collect();
    for last in 0..3 {
        let mut socket = Socket::open(&api.url, &format!("/v1/ws?job={id}/{last}"), &api.key).await;
        let seen = states_of_socket(&mut socket, 3 - last).await;
        assert_eq!(seen.into_iter().map(|(_, _, data)| data).collect::<Vec<_>>(), expected[last..]);
        assert_eq!(socket.closed().await.0, 1000);
    }
    api.stop().await;
}

async fn progress_comes_without_an_id(stack: Stack) {
    let api = Api::start(stack).await;
    let id = api.submit_job().await;
    let job = api.claim(id).await;
    let mut socket = Socket::open(&api.url, "/v1/ws", &api.key).await;
    assert!(matches!(socket.next().await, Said::Event(said) if said["event"] == "position" && said["id"].is_string()));
    let progress = Progress { phase: Phase::Reading, rows: 7, ..Progress::default() };
    api.backends.broker.broadcast(Broadcast::Progress { job_id: id, caller: ana(), attempt: job.attempt, progress });
    let said = socket.next_event().await.unwrap();
    assert_eq!((&said["id"], &said["event"]), (&Value::Null, &Value::from("progress")));
    assert_eq!(said["data"]["data"]["progress"]["rows"], 7);
    api.stop().await;
}

async fn a_page_of_another_origin_opens_a_socket_with_a_ticket_and_not_with_a_cookie(stack: Stack) {
    let api = Api::start(stack).await;
    let refused = Socket::try_open(&api.url, "/v1/ws", &[]).await.unwrap_err();
    assert_eq!(refused.0, 401);
    let signed_in = api
        .plain(reqwest::Method::POST, "/v1/session")
        .header("origin", &api.url)
        .json(&serde_json::json!({"key": api.key}))
        .send()
        .await
        .unwrap();
    let cookie = header(&signed_in, "set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let own = [("cookie", cookie.as_str()), ("origin", api.url.as_str())];
    assert!(Socket::try_open(&api.url, "/v1/ws", &own).await.is_ok(), "the gateway's own page");
    for strange in [&[("cookie", cookie.as_str()), ("origin", "https://evil.example")][..], &own[..1]] {
        assert_eq!(Socket::try_open(&api.url, "/v1/ws", strange).await.unwrap_err().0, 403, "{strange:?}");
    }
    let ticket = body(api.post("/v1/ws/ticket").send().await.unwrap()).await;
    let protocols =
        format!("{}, {}", ticket["protocols"][0].as_str().unwrap(), ticket["protocols"][1].as_str().unwrap());
    let page = [("sec-websocket-protocol", protocols.as_str()), ("origin", "https://app.example")];
    let mut socket = Socket::try_open(&api.url, "/v1/ws", &page).await.unwrap();
    assert_eq!(socket.protocol.as_deref(), Some("waitless.v1"));
    let id = api.submit_job().await;
    assert_eq!(socket.next_state().await.unwrap()["data"]["subject"], id.to_string());
    api.stop().await;
}

async fn a_ticket_opens_nothing_but_a_socket_and_not_for_long(stack: Stack) {
    let api = Api::start(stack).await;
    let seal = |seconds: i64| {
        let secret = api.config.service.link_secret.expose();
        let until = Utc::now().timestamp() + seconds;
        let ticket = seal_ticket(secret, &Ticket { holder: TicketHolder::Key(hash_token(&api.key)), until });
        format!("waitless.v1, waitless.ticket.{ticket}")
    };
    let (good, over) = (seal(30), seal(0));
    assert!(Socket::try_open(&api.url, "/v1/ws", &[("sec-websocket-protocol", &good)]).await.is_ok());
    let elsewhere = api.plain(reqwest::Method::GET, "/v1/jobs").header("sec-websocket-protocol", &good);
    assert_eq!(elsewhere.send().await.unwrap().status(), 401);
    for bad in [over.as_str(), "waitless.v1, waitless.ticket.AAAA", "waitless.v1"] {
        let refused = Socket::try_open(&api.url, "/v1/ws", &[("sec-websocket-protocol", bad)]).await.unwrap_err();
        assert_eq!(refused.0, 401, "{bad}");
    }
    api.stop().await;
}

async fn what_is_no_handshake_or_asks_for_nonsense_is_refused_with_a_problem(stack: Stack) {
    let api = Api::start(stack).await;
    let (status, kind, _) = problem(api.get("/v1/ws").send().await.unwrap()).await;
    assert_eq!((status, kind.as_str()), (426, "upgrade-required"));
    let mine = api.submit_job().await;
    let key = api.make_key(&caller("acme", "ben"), &Scope::ALL).await;
    let bens = api.submit_as(&key).await;
    let many = format!("/v1/ws?job={mine}{}", format!("&job={mine}").repeat(50));
    let bearer = format!("Bearer {}", api.key);
    for (path, status) in [
        ("/v1/ws?key=wl_x", 400),
        ("/v1/ws?job=x", 400),
        (many.as_str(), 400),
        (&format!("/v1/ws?job={mine}&last_event_id=x"), 400),
        ("/v1/ws?last_event_id=x", 400),
        (&format!("/v1/ws?job={mine}/2"), 400),
        (&format!("/v1/ws?job={bens}"), 404),
    ] {
        let refused = Socket::try_open(&api.url, path, &[("authorization", &bearer)]).await.unwrap_err();
        assert_eq!(refused.0, status, "{path}: {}", refused.1);
    }
    api.stop().await;
}

async fn a_client_that_speaks_is_told_that_nothing_is_expected(stack: Stack) {
    let api = Api::start(stack).await;
    let mut chatty = Socket::open(&api.url, "/v1/ws", &api.key).await;
    chatty.say("hello".to_owned()).await;
    assert_eq!(chatty.closed().await, (1008, "nothing is expected from the client".to_owned()));
    let mut large = Socket::open(&api.url, "/v1/ws", &api.key).await;
    large.say("x".repeat(5000)).await;
    assert_eq!(large.closed().await.0, 1009);
    api.stop().await;
}

async fn a_client_that_gives_no_sign_of_life_is_let_go(stack: Stack) {
    let api = Api::start_with(stack, |config| config.http.ping_every = Duration::from_millis(200)).await;
    let mut alive = Socket::open(&api.url, "/v1/ws", &api.key).await;
    let mut silent = Socket::open(&api.url, "/v1/ws", &api.key).await.fall_silent();
    let mut said = Vec::new();
    let reading = silent.read_to_end(&mut said);
    tokio::pin!(reading);
    loop {
        tokio::select! {
            end = &mut reading => { end.unwrap(); break }
            // Reading is what answers pings.
            said = alive.next() => assert!(!matches!(said, Said::Closed(..)), "{said:?}"),
        }
    }
    assert!(said.windows(15).any(|part| part == b"no sign of life"), "{:?}", String::from_utf8_lossy(&said));
    assert_eq!(alive.next().await, Said::Ping);
    api.stop().await;
}

async fn sockets_close_when_the_gateway_stops_and_when_the_key_ends(stack: Stack) {
    let mut api = Api::start_with(stack, |config| config.http.ping_every = Duration::from_millis(200)).await;
    let (key, id) = api.make_key_for(&ana(), &[Scope::Read], None).await;
    let mut guest = Socket::open(&api.url, "/v1/ws", &key).await;
    let mut own = Socket::open(&api.url, "/v1/ws", &api.key).await;
    // Reading is what answers pings.
    let reading = tokio::spawn(async move { own.closed().await });
    assert!(api.backends.store.revoke_api_key(id).await.unwrap());
    assert_eq!(guest.closed().await, (4401, "the API key was revoked".to_owned()));
    api.stop_gateway().await;
    assert_eq!(reading.await.unwrap().0, 1001);
}

async fn sockets_take_places_of_watchers_and_give_them_back(stack: Stack) {
    let api = Api::start_with(stack, |config| config.http.max_watchers_per_principal = 2).await;
    let (one, two) = (api.submit_job().await, api.submit_job().await);
    let both = format!("/v1/ws?job={one}&job={two}");
    let open = Socket::open(&api.url, &both, &api.key).await;
    let bearer = format!("Bearer {}", api.key);
    let refused = Socket::try_open(&api.url, "/v1/ws", &[("authorization", &bearer)]).await.unwrap_err();
    assert_eq!(refused.0, 429);
    drop(open);
    testing::eventually(Duration::from_secs(20), "the places are free again", async || {
        Socket::try_open(&api.url, &both, &[("authorization", &bearer)]).await.is_ok()
    })
    .await;
    api.stop().await;
}
