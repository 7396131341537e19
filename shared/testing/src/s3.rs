//! An S3 server in this process that checks signatures, keeps objects in a temporary folder, and fails on demand.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use futures_util::StreamExt;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};

/// Which requests are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Every request.
    Any,
    /// `PUT` of a whole object.
    Put,
    /// The start of a multipart upload.
    Start,
    /// `PUT` of a part.
    Part,
    /// The end of a multipart upload.
    Complete,
    /// The abort of a multipart upload.
    Abort,
    /// `GET` of an object.
    Get,
    /// `HEAD` of an object.
    Head,
    /// `DELETE` of an object, or of many.
    Delete,
    /// A list of objects.
    List,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status, and nothing is done.
    Answer(u16),
    /// It is done, and the connection closed without an answer.
    LoseAnswer,
    /// It is done, and half of the answer's body arrives before the connection is closed.
    Truncate,
    /// It is never answered.
    Silence,
}

/// A fault, after how many requests it comes, and how often.
#[derive(Debug)]
struct PlannedFault {
    operation: Operation,
    fault: Fault,
    after: usize,
    left: usize,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<PlannedFault>,
    requests: Vec<Operation>,
}

/// A running server with one empty bucket. Ends when dropped.
#[derive(Debug)]
pub struct S3 {
    port: u16,
    folder: tempfile::TempDir,
    state: Arc<Mutex<State>>,
    serving: tokio::task::JoinHandle<()>,
}

/// Starts a server.
///
/// # Errors
/// When no port is free or the temporary folder cannot be made.
pub async fn start() -> anyhow::Result<S3> {
    start_on(0).await
}

/// Starts a server on this port, where others were told that it will be; 0 is any.
///
/// # Errors
/// When the port is taken or the temporary folder cannot be made.
pub async fn start_on(port: u16) -> anyhow::Result<S3> {
    let folder = tempfile::tempdir().context("make the folder of the S3 server")?;
    std::fs::create_dir(folder.path().join(S3::BUCKET))?;
    let files = s3s_fs::FileSystem::new(folder.path()).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(S3::ACCESS_KEY_ID, S3::SECRET_ACCESS_KEY));
    let (service, state) = (builder.build(), Arc::<Mutex<State>>::default());
    let listener = TcpListener::bind(("127.0.0.1", port)).await.context("start the S3 server")?;
    let port = listener.local_addr()?.port();
    let serving = tokio::spawn(serve(listener, service, state.clone()));
    Ok(S3 { port, folder, state, serving })
}

impl S3 {
    /// The name of its bucket.
    pub const BUCKET: &str = "artifacts";
    /// Its only access key.
    pub const ACCESS_KEY_ID: &str = "test-access-key";
    /// The secret of that key.
    pub const SECRET_ACCESS_KEY: &str = "test-secret-key";
    /// The region it takes signatures for.
    pub const REGION: &str = "us-east-1";

    /// `http://127.0.0.1:<port>`
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `s3://artifacts`
    #[must_use]
    pub fn url(&self) -> String {
        format!("s3://{}", S3::BUCKET)
    }

    /// Lets the next `times` requests of one kind fail.
    pub fn fail_next(&self, times: usize, operation: Operation, fault: Fault) {
        self.state.lock().faults.push(PlannedFault { operation, fault, after: 0, left: times });
    }

    /// Lets every request of one kind fail after the next `good` ones, until healed.
    pub fn fail_after(&self, good: usize, operation: Operation, fault: Fault) {
        self.state.lock().faults.push(PlannedFault { operation, fault, after: good, left: usize::MAX });
    }

    /// Lets every request of one kind fail, until healed.
    pub fn fail_always(&self, operation: Operation, fault: Fault) {
        self.fail_next(usize::MAX, operation, fault);
    }

    /// Lets nothing fail any more.
    pub fn heal(&self) {
        self.state.lock().faults.clear();
    }

    /// How many requests of one kind there were.
    #[must_use]
    pub fn requests(&self, operation: Operation) -> usize {
        self.state
            .lock()
            .requests
            .iter()
            .filter(|request| operation == Operation::Any || **request == operation)
            .count()
    }

    /// The keys of all objects, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn keys(&self) -> anyhow::Result<Vec<String>> {
        let root = self.folder.path().join(S3::BUCKET);
        let mut keys = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let path = entry?.path();
                let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
                if path.is_dir() {
                    folders.push(path);
                } else if !hidden {
                    keys.push(path.strip_prefix(&root)?.to_string_lossy().into_owned());
                }
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// Where an object's bytes are.
    #[must_use]
    pub fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join(S3::BUCKET).join(key)
    }

    /// How many multipart uploads are neither finished nor aborted.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn unfinished_uploads(&self) -> anyhow::Result<usize> {
        let names = std::fs::read_dir(self.folder.path())?.flatten().map(|entry| entry.file_name());
        Ok(names.filter(|name| name.to_string_lossy().starts_with(".upload-")).count())
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, service: S3Service, state: Arc<Mutex<State>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve_connection(stream, service.clone(), state.clone()));
    }
}

async fn serve_connection(stream: TcpStream, service: S3Service, state: Arc<Mutex<State>>) {
    let answer = service_fn(move |request| handle(request, service.clone(), state.clone()));
    let _broken = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

async fn handle(
    request: Request<Incoming>,
    service: S3Service,
    state: Arc<Mutex<State>>,
) -> Result<Response<Body>, BoxError> {
    match next_fault(&state, operation_of(&request)) {
        None => Ok(service.call(request.map(Body::from)).await?),
        Some(Fault::Answer(status)) => {
            // Read to the end: a sender that is cut off while it sends would see a broken pipe, not the answer.
            let mut body = Body::from(request.into_body());
            while body.next().await.is_some() {}
            let code = match status {
                403 => "AccessDenied",
                409 => "ConditionalRequestConflict",
                503 => "SlowDown",
                _ => "InternalError",
            };
            let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>a test</Message></Error>");
            Ok(Response::builder().status(status).header("content-type", "application/xml").body(Body::from(text))?)
        }
        Some(Fault::LoseAnswer) => {
            read(service.call(request.map(Body::from)).await?.into_body()).await?;
            Err("the test wants this answer to be lost".into())
        }
        Some(Fault::Truncate) => truncate(service.call(request.map(Body::from)).await?).await,
        Some(Fault::Silence) => std::future::pending().await,
    }
}

fn next_fault(state: &Mutex<State>, operation: Operation) -> Option<Fault> {
    let mut state = state.lock();
    state.requests.push(operation);
    let meant = |planned: &&mut PlannedFault| {
        planned.left > 0 && (planned.operation == Operation::Any || planned.operation == operation)
    };
    let planned = state.faults.iter_mut().find(meant)?;
    if planned.after > 0 {
        planned.after -= 1;
        return None;
    }
    planned.left -= 1;
    Some(planned.fault)
}

fn operation_of(request: &Request<Incoming>) -> Operation {
    let query = request.uri().query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let in_bucket = request.uri().path().trim_matches('/').contains('/');
    match *request.method() {
        Method::PUT if has("partNumber") => Operation::Part,
        Method::PUT => Operation::Put,
        Method::POST if has("uploads") => Operation::Start,
        Method::POST if has("uploadId") => Operation::Complete,
        Method::DELETE if has("uploadId") => Operation::Abort,
        Method::DELETE | Method::POST => Operation::Delete,
        Method::HEAD => Operation::Head,
        Method::GET if in_bucket => Operation::Get,
        _ => Operation::List,
    }
}

async fn read(mut body: Body) -> Result<Vec<u8>, BoxError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes)
}

async fn truncate(answer: Response<Body>) -> Result<Response<Body>, BoxError> {
    let (head, body) = answer.into_parts();
    let whole = read(body).await?;
    let half = bytes::Bytes::copy_from_slice(&whole[..whole.len() / 2]);
    let broken = std::io::Error::other("the test wants this answer to be cut");
    let chunks = futures_util::stream::iter([Ok(Frame::data(half)), Err(broken)]);
    // The next chunk is asked for only after this one has gone out: without a pause hyper would drop both.
    let paced = chunks.then(|chunk| async {
        if chunk.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        chunk
    });
    Ok(Response::from_parts(head, Body::http_body_unsync(http_body_util::StreamBody::new(Box::pin(paced)))))
}

#[cfg(test)]
mod tests {
    use object_store::aws::{AmazonS3, AmazonS3Builder};
    use object_store::path::Path;
    use object_store::{MultipartUpload, ObjectStoreExt, RetryConfig};

    use super::*;

    fn client(s3: &S3, secret: &str) -> AmazonS3 {
        AmazonS3Builder::new()
            .with_endpoint(s3.endpoint())
            .with_allow_http(true)
            .with_region(S3::REGION)
            .with_bucket_name(S3::BUCKET)
            .with_access_key_id(S3::ACCESS_KEY_ID)
            .with_secret_access_key(secret)
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .build()
            .unwrap()
    }

    #[tokio::test]
    async fn signatures_are_checked() {
        let s3 = start().await.unwrap();
        let key = Path::from("folder/key");
        assert!(client(&s3, "another").put(&key, "x".into()).await.is_err());
        client(&s3, S3::SECRET_ACCESS_KEY).put(&key, "hello".into()).await.unwrap();
        assert_eq!(s3.keys().unwrap(), ["folder/key"]);
        assert_eq!(std::fs::read(s3.path("folder/key")).unwrap(), b"hello");
        assert_eq!(s3.requests(Operation::Put), 2);
    }

    #[tokio::test]
    async fn requests_fail_as_often_as_the_test_wants_it() {
        let s3 = start().await.unwrap();
        let store = client(&s3, S3::SECRET_ACCESS_KEY);
        let key = Path::from("key");
        s3.fail_next(1, Operation::Put, Fault::Answer(403));
        let error = store.put(&key, "x".into()).await.unwrap_err();
        assert!(error.to_string().contains("AccessDenied"), "{error}");
        store.put(&key, vec![7; 100_000].into()).await.unwrap();
        s3.fail_next(1, Operation::Get, Fault::Truncate);
        assert!(store.get(&key).await.unwrap().bytes().await.is_err());
        assert_eq!(store.get(&key).await.unwrap().bytes().await.unwrap().len(), 100_000);
        s3.fail_next(1, Operation::Put, Fault::LoseAnswer);
        assert!(store.put(&Path::from("other"), "x".into()).await.is_err());
        assert_eq!(s3.keys().unwrap(), ["key", "other"]);
    }

    #[tokio::test]
    async fn unfinished_uploads_are_counted() {
        let s3 = start().await.unwrap();
        let store = client(&s3, S3::SECRET_ACCESS_KEY);
        let mut upload = store.put_multipart(&Path::from("key")).await.unwrap();
        s3.fail_next(1, Operation::Part, Fault::Answer(500));
        assert!(upload.put_part("x".into()).await.is_err());
        assert_eq!(s3.unfinished_uploads().unwrap(), 1);
        upload.abort().await.unwrap();
        assert_eq!(s3.unfinished_uploads().unwrap(), 0);
    }
}
