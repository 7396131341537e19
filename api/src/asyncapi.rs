//! The AsyncAPI 3.0 document: what browsers are sent, and what processes send each other. Put together from the types that are
//! sent and the names that are used; `docs/asyncapi.json` is a copy that a test compares, and real messages are held against it.

use model::delivery::Channel;
use model::event::EventKind;
use model::job::{JobState, Lane};
use model::message::Queue;
use model::problem::{FieldError, LimitOwner, ReachedLimit, StoredProblem};
use model::progress::Phase;
use serde_json::{Map, Value, json};
use utoipa::PartialSchema;

use crate::forecast::view::{EtaView, QueuePositionView};
use crate::jobs::view::{ProgressView, RefusalView};
use crate::watch::frame::{EventData, ProgressData};

/// Returns the document.
#[must_use]
pub fn document() -> Value {
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Waitless",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What is sent without being asked for. Server-sent events and WebSocket carry the same events; every gateway sends the same, whichever one is connected to. Messages between processes are doorbells: they carry ids, and the database holds the truth.",
        },
        "defaultContentType": "application/json",
        "channels": channels(),
        "operations": operations(),
        "components": {"messages": messages(), "schemas": schemas()},
    })
}

fn channel(address: &str, description: &str, messages: &[&str]) -> Value {
    let of = |name: &&str| (name.to_string(), json!({"$ref": format!("#/components/messages/{name}")}));
    let messages: Map<String, Value> = messages.iter().map(of).collect();
    json!({"address": address, "description": description, "messages": messages})
}

fn channels() -> Value {
    let mut all = Map::new();
    let mut job = channel(
        "/v1/jobs/{id}/events",
        "Server-sent events of one job, from its submit to its end. `id:` is the event's number; Last-Event-ID resumes behind it.",
        &["event", "progress", "closed"],
    );
    job["parameters"] = json!({"id": {"description": "The job's id"}});
    all.insert("job".to_owned(), job);
    let feed = "Server-sent events of all the caller's jobs. `id:` is opaque; Last-Event-ID resumes behind it.";
    all.insert("feed".to_owned(), channel("/v1/events", feed, &["event", "progress", "closed"]));
    let mut socket = channel(
        "/v1/ws",
        "The same over a WebSocket, subprotocol `waitless.v1`. Nothing is expected from the client but control frames. Closed with 1000 after the end of every job that was named, 1001 when the gateway stops, 1008 when the client speaks, 1009 when it says too much, 4401 when its key or session has ended, 4408 when it gives no sign of life.",
        &["socket"],
    );
    socket["bindings"] = json!({"ws": {"method": "GET", "query": {
        "type": "object",
        "properties": {
            "job": {"type": "array", "items": {"type": "string"}, "maxItems": 50,
                "description": "Jobs to watch, each as its id or as the `id` of the last CloudEvent seen of it; all jobs when left out"},
            "last_event_id": {"type": "string", "description": "The last `id` seen, where no job is named"},
        },
    }, "bindingVersion": "0.1.0"}});
    all.insert("socket".to_owned(), socket);
    for queue in Queue::ALL {
        let (name, message, description) = match queue {
            Queue::Work(lane) => (format!("work_{lane}"), "runJob", "Jobs that wait for a worker of the lane."),
            Queue::Notify(channel) => {
                (format!("notify_{}", channel.as_str()), "sendDelivery", "Notifications that wait to be sent.")
            }
            Queue::Dead => {
                ("dead".to_owned(), "deadJob", "Failed jobs, for people and tools; nothing depends on them.")
            }
        };
        let mut channel = channel(&queue.name(), description, &[message]);
        channel["bindings"] = json!({"amqp": {"is": "queue", "queue": {"name": queue.name(), "durable": true, "exclusive": false, "autoDelete": false}, "bindingVersion": "0.3.0"}});
        all.insert(name, channel);
    }
    let mut events = channel(
        "job.{tenant}.{job}.{event}",
        "Routing key in the topic exchange `waitless.events.v1`: committed events, and progress, to every gateway and worker. Missing one costs nothing.",
        &["broadcastEvent", "broadcastProgress"],
    );
    events["parameters"] = json!({
        "tenant": {"description": "The job's tenant, shortened and without dots"},
        "job": {"description": "The job's id"},
        "event": {"description": "The event's kind, or `progress`"},
    });
    events["bindings"] = json!({"amqp": {"is": "routingKey", "exchange": {"name": "waitless.events.v1", "type": "topic", "durable": true}, "bindingVersion": "0.3.0"}});
    all.insert("events".to_owned(), events);
    Value::Object(all)
}

/// From the service's side: it sends to browsers, and both sends and receives what travels between its processes.
fn operations() -> Value {
    let mut all = Map::new();
    let mut add = |name: String, action: &str, channel: &str, summary: &str| {
        let channel = json!({"$ref": format!("#/channels/{channel}")});
        all.insert(name, json!({"action": action, "channel": channel, "summary": summary}));
    };
    for (channel, summary) in [
        ("job", "Tell whoever watches a job"),
        ("feed", "Tell a caller of all their jobs"),
        ("socket", "Tell a caller over a WebSocket"),
    ] {
        add(format!("tell_{channel}"), "send", channel, summary);
    }
    for lane in Lane::ALL {
        let channel = format!("work_{lane}");
        add(format!("ring_{lane}"), "send", &channel, "A relay rings for a job");
        add(format!("take_{lane}"), "receive", &channel, "A worker takes a job");
    }
    for way in Channel::ALL {
        let channel = format!("notify_{}", way.as_str());
        add(format!("ring_{}", way.as_str()), "send", &channel, "A relay rings for a delivery");
        add(format!("take_{}", way.as_str()), "receive", &channel, "A notifier takes a delivery");
    }
    add("bury".to_owned(), "send", "dead", "A relay tells of a failed job");
    add("broadcast".to_owned(), "send", "events", "A process tells all others");
    add("listen".to_owned(), "receive", "events", "A gateway or worker hears of it");
    Value::Object(all)
}

fn messages() -> Value {
    let message = |title: &str, summary: &str, schema: &str| {
        json!({"name": title, "title": title, "summary": summary, "contentType": "application/json",
            "payload": {"$ref": format!("#/components/schemas/{schema}")}})
    };
    json!({
        "event": message("Event", "Something happened to a job; named as its kind, with an id to resume from", "CloudEvent"),
        "progress": message("Progress", "How far a running job is, or where a waiting one stands; without an id, and never repeated", "CloudProgress"),
        "closed": message("Closed", "The last one, without an id: the key, session or right that opened the stream has ended, and `data` of it says why as a problem", "CloudClosed"),
        "socket": message("Message", "The fields of a server-sent event", "SocketMessage"),
        "runJob": message("run-job.v1", "Somebody should look at this job", "RunJob"),
        "sendDelivery": message("send-delivery.v1", "Somebody should send this delivery", "SendDelivery"),
        "deadJob": message("dead-job.v1", "A job has failed", "DeadJob"),
        "broadcastEvent": message("event", "An event was committed", "BroadcastEvent"),
        "broadcastProgress": message("progress", "A running job is this far", "BroadcastProgress"),
    })
}

/// The schema of a type that is sent, its closed sets filled in.
fn of<T: PartialSchema>() -> Value {
    let mut schema = serde_json::to_value(T::schema()).unwrap_or_default();
    let sets = [
        ("kind", EventKind::ALL.map(EventKind::as_str).to_vec()),
        ("state", JobState::ALL.map(JobState::as_str).to_vec()),
        ("phase", Phase::ALL.map(Phase::as_str).to_vec()),
    ];
    for (field, names) in sets {
        if let Some(property) = schema.pointer_mut(&format!("/properties/{field}")) {
            property["enum"] = json!(names);
        }
    }
    schema
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// An object that has all of these fields.
fn object(properties: Value) -> Value {
    let names: Vec<&String> = properties.as_object().map(|all| all.keys().collect()).unwrap_or_default();
    let mut schema = json!({"type": "object", "required": names});
    schema["properties"] = properties;
    schema
}

fn cloud_event(kind: &Value, data: &str) -> Value {
    object(json!({
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "description": "`<job>/<number>` of an event; unique for progress"},
        "source": {"const": "/v1/jobs"},
        "type": kind,
        "subject": {"type": "string", "format": "uuid", "description": "The job"},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "data": reference(data),
    }))
}

fn schemas() -> Value {
    let id = || json!({"type": "string", "format": "uuid"});
    let time = || json!({"type": "string", "format": "date-time"});
    let text = || json!({"type": "string"});
    let number = || json!({"type": "integer", "minimum": 0});
    let maybe = |schema: Value| json!({"oneOf": [{"type": "null"}, schema]});
    let kinds: Vec<String> = EventKind::ALL.iter().map(|kind| format!("dev.waitless.job.{}", kind.as_str())).collect();
    let progress = object(json!({
        "phase": {"type": "string", "enum": Phase::ALL.map(Phase::as_str)},
        "rows": number(), "total_rows": maybe(number()), "total_is_estimate": {"type": "boolean"}, "bytes": number(),
    }));
    let mut event = object(json!({
        "type": {"const": "event"}, "job_id": id(), "seq": number(), "tenant": text(), "principal": text(),
        "kind": {"type": "string", "enum": EventKind::ALL.map(EventKind::as_str)},
        "state": {"type": "string", "enum": JobState::ALL.map(JobState::as_str)},
        "attempt": number(), "error": maybe(reference("StoredProblem")), "next_attempt_at": maybe(time()), "at": time(),
    }));
    event["properties"]["leader"] = id();
    event["properties"]["refused"] = json!({"type": "array", "items": reference("Refusal")});
    let mut closed = cloud_event(&json!({"const": "dev.waitless.stream.closed"}), "StoredProblem");
    // It is about no job.
    if let Some(properties) = closed["properties"].as_object_mut() {
        properties.remove("subject");
    }
    if let Some(names) = closed["required"].as_array_mut() {
        names.retain(|name| name != "subject");
    }
    json!({
        "CloudEvent": cloud_event(&json!({"type": "string", "enum": kinds}), "EventData"),
        "CloudProgress": cloud_event(&json!({"const": "dev.waitless.job.progress"}), "ProgressData"),
        "CloudClosed": closed,
        "EventData": of::<EventData<'_>>(),
        "ProgressData": of::<ProgressData>(),
        "Progress": of::<ProgressView>(),
        "QueuePosition": of::<QueuePositionView>(),
        "Eta": of::<EtaView>(),
        "StoredProblem": of::<StoredProblem>(),
        "FieldError": of::<FieldError>(),
        "ReachedLimit": of::<ReachedLimit>(),
        "LimitOwner": of::<LimitOwner>(),
        "Refusal": of::<RefusalView<'_>>(),
        "SocketMessage": {"oneOf": [
            object(json!({"id": text(), "event": {"type": "string", "enum": EventKind::ALL.map(EventKind::as_str)}, "data": reference("CloudEvent")})),
            object(json!({"id": {"type": "null"}, "event": {"const": "progress"}, "data": reference("CloudProgress")})),
            object(json!({"id": text(), "event": {"const": "position"}, "data": {"type": "null"}})),
        ]},
        "RunJob": object(json!({"type": {"const": "run-job.v1"}, "job_id": id()})),
        "SendDelivery": object(json!({"type": {"const": "send-delivery.v1"}, "delivery_id": id()})),
        "DeadJob": object(json!({"type": {"const": "dead-job.v1"}, "job_id": id(), "tenant": text(), "report": text(), "error": reference("StoredProblem")})),
        "BroadcastEvent": event,
        "BroadcastProgress": object(json!({
            "type": {"const": "progress"}, "job_id": id(), "tenant": text(), "principal": text(), "attempt": number(), "progress": progress,
        })),
    })
}
