//! Stale uploads: what a killed process leaves is cleaned up, and nothing else.

use std::time::Duration;

use configuration::Secret;
use testing::s3;

use super::{MIB, began, open, settings, settings_of};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_leaves_in_a_folder_is_invisible_and_cleaned_up() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&settings(&format!("file:{}", folder.path().display())));
    // What SIGKILL leaves: the upload is never dropped.
    std::mem::forget(began(&storage, 12 * MIB).await);
    let staged = || std::fs::read_dir(folder.path().join(".staging")).unwrap().count();
    assert_eq!((storage.list(10).await.unwrap().len(), staged()), (0, 1));
    assert!(storage.stale_uploads(Duration::from_secs(3600)).await.unwrap().is_empty());
    let stale = storage.stale_uploads(Duration::ZERO).await.unwrap().remove(0);
    assert!(stale.key.is_some(), "it says for which key it is");
    assert!(storage.abort(&stale).await.unwrap());
    assert!(!storage.abort(&stale).await.unwrap(), "once");
    assert_eq!(staged(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_uploads_of_a_bucket_are_aborted_and_fresh_or_foreign_ones_are_not() {
    let page = |more: bool, uploads: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListMultipartUploadsResult \
             xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Bucket>b</Bucket><IsTruncated>{more}</IsTruncated>\
             <NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>m</NextUploadIdMarker>{uploads}</ListMultipartUploadsResult>"
        )
    };
    let upload = |key: &str, id: &str, at: &str| {
        format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>{at}</Initiated></Upload>")
    };
    let (old, fresh) = ("2026-11-20T10:00:00.000Z", "2026-11-22T11:59:00.000Z");
    let first = upload("ours/job/1/a.csv", "id-1&amp;x", old) + &upload("theirs/a.csv", "id-2", old);
    let second = upload("ours/job/1/b.csv", "id-3", fresh) + &upload("ours/job/1/c.csv", "id-4", old);
    let answers = [(200, page(true, &first)), (200, page(false, &second)), (204, String::new()), (404, String::new())];
    let (endpoint, asked) = answer_in_turn(answers.into()).await;
    let mut settings = settings("s3://bucket/ours");
    (settings.endpoint, settings.region) = (Some(endpoint), Some("r".to_owned()));
    (settings.access_key_id, settings.secret_access_key) = (Some("id".to_owned()), Some(Secret::new("secret")));
    let storage = open(&settings);
    let stale = storage.stale_uploads(Duration::from_secs(86_400)).await.unwrap();
    let keys: Vec<_> = stale.iter().map(|upload| upload.key.as_deref().unwrap()).collect();
    assert_eq!(keys, ["job/1/a.csv", "job/1/c.csv"]);
    assert!(storage.abort(&stale[0]).await.unwrap());
    assert!(!storage.abort(&stale[1]).await.unwrap(), "somebody else finished it meanwhile: 404");
    let asked: Vec<String> =
        asked.await.unwrap().into_iter().map(|line| line.split("X-Amz").next().unwrap().to_owned()).collect();
    assert!(asked[0].starts_with("GET /bucket/?") || asked[0].starts_with("GET /bucket?"), "{asked:?}");
    assert!(asked[2].starts_with("DELETE /bucket/ours/job/1/a.csv?uploadId=id-1%26x "), "{asked:?}");
    assert!(asked[3].starts_with("DELETE /bucket/ours/job/1/c.csv?uploadId=id-4 "), "{asked:?}");
}

/// Answers one request after the other, by the clock of noon on 22 November 2026; hands back the request lines.
async fn answer_in_turn(answers: Vec<(u16, String)>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answering = tokio::spawn(async move {
        let mut asked = Vec::new();
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut lines = BufReader::new(&mut stream).lines();
            asked.push(lines.next_line().await.unwrap().unwrap());
            while lines.next_line().await.unwrap().is_some_and(|line| !line.is_empty()) {}
            let head = format!(
                "HTTP/1.1 {status} x\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
        asked
    });
    (endpoint, answering)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_list_uploads_is_left_alone() {
    // The server checks the signature before it says that it has no such call; a wrong one would be an error here.
    let server = s3::start().await.unwrap();
    assert!(open(&settings_of(&server, "")).stale_uploads(Duration::ZERO).await.unwrap().is_empty());
}
