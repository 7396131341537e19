//! A database file that is copied while it is in use, and put back.

use crate::service::Sandbox;

#[tokio::test]
async fn a_copy_of_the_database_file_that_was_made_while_it_was_in_use_can_be_put_back() {
    let sandbox = Sandbox::with_counting();
    let service = sandbox.up().await;
    sandbox.say(&["run", "counting", "--out", "before.csv"]).await;
    let before = sandbox.json(&["jobs"]).await["jobs"][0]["id"].as_str().unwrap().to_owned();
    let database = sandbox.path("data/waitless.db");
    let copy = format!("vacuum into '{}'", sandbox.path("backup.db").display());
    rusqlite::Connection::open(&database).unwrap().execute_batch(&copy).unwrap();
    sandbox.say(&["run", "counting", "--out", "later.csv"]).await;
    let later = sandbox.json(&["jobs"]).await["jobs"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(service.stop().await, 0);
    for beside in ["data/waitless.db-wal", "data/waitless.db-shm"] {
        // Gone already where the service ended well.
        let _absent = std::fs::remove_file(sandbox.path(beside));
    }
    std::fs::rename(sandbox.path("backup.db"), &database).unwrap();
    let service = sandbox.up().await;
    assert_eq!(sandbox.json(&["show", &before]).await["state"], "done");
    assert_eq!(sandbox.output(&["show", &later]).await.status.code(), Some(1), "the copy is from before");
    sandbox.say(&["run", "counting", "--out", "after.csv"]).await;
    assert_eq!(service.stop().await, 0);
}
