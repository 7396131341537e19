//! A provider that answers what a test wants it to.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::signing_key::SigningKey;

/// What it answers at an address.
#[derive(Debug, Clone)]
pub enum MadeUpAnswer {
    /// This, as JSON.
    Json(Value),
    /// Another status, with this as JSON.
    Refusal(u16, Value),
    /// So many bytes of a text that is JSON up to there, without saying how many they are.
    Endless(usize),
    /// That it is elsewhere.
    Redirect(String),
    /// Nothing.
    Silence,
}

#[derive(Debug, Default)]
struct Script {
    answers: BTreeMap<String, MadeUpAnswer>,
    /// How often each address was asked.
    asked: BTreeMap<String, usize>,
    /// The last body that was sent.
    body: String,
}

/// A provider of a test. Ends when dropped.
#[derive(Debug)]
pub struct MadeUpProvider {
    issuer: String,
    script: Arc<Mutex<Script>>,
    serving: JoinHandle<()>,
}

impl Drop for MadeUpProvider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl MadeUpProvider {
    /// Starts one that publishes this key.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(key: &SigningKey) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let issuer = format!("http://{}", listener.local_addr()?);
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = Arc::clone(&script);
        let serving = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&shared)));
            }
        });
        let provider = Self { issuer, script, serving };
        let place = |path: &str| format!("{}{path}", provider.issuer);
        provider.answer(
            "/.well-known/openid-configuration",
            MadeUpAnswer::Json(json!({
                "issuer": provider.issuer,
                "jwks_uri": place("/keys"),
                "authorization_endpoint": place("/authorize?audience=x"),
                "token_endpoint": place("/token"),
            })),
        );
        provider.publish(&[key]);
        Ok(provider)
    }

    /// Returns what its tokens say in `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Publishes these keys and no others.
    pub fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.published()).collect();
        self.answer("/keys", MadeUpAnswer::Json(json!({ "keys": keys })));
    }

    /// Answers so at an address from now on.
    pub fn answer(&self, path: &str, answer: MadeUpAnswer) {
        self.script.lock().answers.insert(path.to_owned(), answer);
    }

    /// Returns how often an address was asked.
    #[must_use]
    pub fn asked(&self, path: &str) -> usize {
        self.script.lock().asked.get(path).copied().unwrap_or_default()
    }

    /// Returns the last body that was sent to it.
    #[must_use]
    pub fn body(&self) -> String {
        self.script.lock().body.clone()
    }
}

/// Answers one request; the connection is closed after it.
async fn serve(mut connection: TcpStream, script: Arc<Mutex<Script>>) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match connection.read(&mut buffer).await {
            Ok(read @ 1..) => request.extend(buffer.iter().take(read)),
            _ => return,
        }
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() < length.unwrap_or(0) {
            continue;
        }
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let answer = {
            let mut script = script.lock();
            *script.asked.entry(path.clone()).or_default() += 1;
            body.clone_into(&mut script.body);
            script.answers.get(&path).cloned()
        };
        let answered = write(&mut connection, answer).await;
        // A client that has heard enough hangs up.
        drop(answered);
        return;
    }
}

async fn write(connection: &mut TcpStream, answer: Option<MadeUpAnswer>) -> std::io::Result<()> {
    let json = |status: u16, value: &Value| {
        let body = value.to_string();
        let length = body.len();
        format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
    };
    match answer {
        Some(MadeUpAnswer::Json(value)) => connection.write_all(json(200, &value).as_bytes()).await,
        Some(MadeUpAnswer::Refusal(status, value)) => connection.write_all(json(status, &value).as_bytes()).await,
        Some(MadeUpAnswer::Redirect(place)) => {
            let head = format!("HTTP/1.1 302 X\r\nlocation: {place}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            connection.write_all(head.as_bytes()).await
        }
        Some(MadeUpAnswer::Endless(bytes)) => {
            connection
                .write_all(
                    b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"keys\": [\"",
                )
                .await?;
            let part = [b'a'; 8192];
            for _ in 0..bytes.div_ceil(part.len()) {
                connection.write_all(&part).await?;
            }
            connection.write_all(b"\"]}").await
        }
        Some(MadeUpAnswer::Silence) => std::future::pending().await,
        None => connection.write_all(json(404, &json!({"error": "not_found"})).as_bytes()).await,
    }
}
