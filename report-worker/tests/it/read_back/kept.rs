//! What is made from a kept Parquet file is what its source would have made: every value of every type.

use model::artifact::Format;
use model::job::JobState;
use testing::source::SourceDatabase;

use super::every_type::{COLUMNS, SETUP};
use super::{Known, PAGE, TOGETHER};
use crate::made_from::{LONG, assert_same_files};
use crate::stack::{Stack, report};

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_made_from_a_kept_file_as_it_is_made_from_its_source() {
    let source = SourceDatabase::postgres(SETUP).await;
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    let worker = stack.start_worker().await;
    let mut jobs = Vec::new();
    for (number, columns) in COLUMNS.chunks(TOGETHER).enumerate() {
        let table = Known::make(&source, format!("t{number}"), columns).await;
        let names: Vec<String> = (0..table.columns.len()).map(|at| format!("c{at}")).collect();
        let sql = format!("select {} from {} order by number", names.join(", "), table.name);
        jobs.push((stack.submit(&report("shop", &sql, PAGE).formats(&Format::ALL)).await, sql));
    }
    for (id, sql) in jobs {
        let all = stack.wait_within(LONG, id, JobState::Done).await;
        let wanted = [Format::Xlsx, Format::Csv, Format::Jsonl, Format::Pdf];
        let further = stack.submit_from(id, &report("shop", &sql, PAGE).formats(&wanted)).await;
        let further = stack.wait_within(LONG, further, JobState::Done).await;
        assert_same_files(&stack, &all, &further).await;
    }
    worker.stop().await;
}
