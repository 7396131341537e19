//! Buckets of clouds that no test can start: that their client asks in their language, at the configured address.

use std::sync::{Arc, Mutex};

use serde_json::json;
use testing::eventually;
use testing::process::binary;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::client::SOON;

/// A bucket, and how one knows who asks for it.
pub(super) struct Bucket {
    pub(super) prefix: &'static str,
    access_key_id: &'static str,
    secret: fn(endpoint: &str) -> String,
    /// How its requests for a list begin.
    request: &'static str,
    /// Who says that it was refused.
    client: &'static str,
}

pub(super) const BUCKETS: [Bucket; 2] = [
    Bucket {
        prefix: "gs://",
        access_key_id: "",
        // With a key that needs no token, which only Google's own server gives.
        secret: |endpoint| {
            let key = json!({
                "private_key": "", "private_key_id": "", "client_email": "", "gcs_base_url": endpoint, "disable_oauth": true,
            });
            key.to_string()
        },
        request: "GET /artifacts?list-type=2&",
        client: "GCS error",
    },
    Bucket {
        prefix: "az://",
        access_key_id: "account",
        secret: |_| "c2VjcmV0".to_owned(),
        request: "GET /artifacts?restype=container&comp=list&",
        client: "MicrosoftAzure error",
    },
];

pub(super) async fn is_asked(bucket: &Bucket) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::<Mutex<Vec<String>>>::default();
    let _refusing = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(refuse_all(listener, Arc::clone(&requests))));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("waitless.toml");
    let (prefix, access_key_id, secret) = (bucket.prefix, bucket.access_key_id, (bucket.secret)(&endpoint));
    let settings = format!(
        "[storage]\nurl = \"{prefix}artifacts/reports\"\nendpoint = \"{endpoint}\"\naccess_key_id = \"{access_key_id}\"\n\
         secret_access_key = '{secret}'\n[service]\nlink_secret = \"0123456789abcdef0123456789abcdef\"\ndata_dir = {:?}\n",
        folder.path()
    );
    std::fs::write(&file, settings).unwrap();
    let worker = binary("report-worker").arg("--config").arg(file.to_str().unwrap()).start().await.unwrap();
    eventually(SOON, &format!("somebody asks for {prefix}artifacts"), async || {
        // Whoever looks at the probe makes the worker look at its bucket.
        let answer = reqwest::get(format!("{}/readyz", worker.url())).await.map_err(|error| error.to_string())?;
        let told = answer.text().await.map_err(|error| error.to_string())?;
        let requests = requests.lock().unwrap();
        let is_asked = requests.iter().any(|request| request.starts_with(bucket.request));
        if is_asked && told.contains(bucket.client) {
            Ok(())
        } else {
            Err(format!("{told} {requests:?} {}", worker.log()))
        }
    })
    .await;
}

/// Notes the head of every request, and answers that it is forbidden.
async fn refuse_all(listener: TcpListener, requests: Arc<Mutex<Vec<String>>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        requests.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
        let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let _gone = stream.write_all(answer).await;
    }
}
