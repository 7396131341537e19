//! A format that cannot hold the rows costs the others nothing, where the job allows that; and everything else does.

use configuration::Secret;
use model::artifact::Format;
use model::job::{Job, JobState};
use model::problem::ProblemKind;
use model::units::ByteSize;
use testing::s3::{Operation, S3};
use testing::source::SourceDatabase;

use crate::stack::{Report, SOON, Stack, report};

/// A query, what else its report says, and the formats that refuse its rows.
struct Case {
    sql: &'static str,
    rest: &'static str,
    formats: &'static [Format],
    refusing: &'static [(Format, &'static str)],
}

/// For each format rows that it refuses: at once, with a few rows, and behind a hundred thousand.
const CASES: &[Case] = &[
    Case {
        sql: "select 1 as id, 'x' as id, n from generate_series(1, 3) n",
        rest: "",
        formats: &Format::ALL,
        refusing: &[(Format::Jsonl, "`id`"), (Format::Parquet, "`id`")],
    },
    Case {
        sql: "select n, (case when n = 3 then 'NaN' else '1.5' end)::numeric(9, 2) as price from generate_series(1, 5) n",
        rest: "",
        formats: &Format::ALL,
        refusing: &[(Format::Parquet, "column `price` holds NaN in row 3")],
    },
    Case {
        sql: "select n, (case when n = 99000 then 'NaN' else '1.5' end)::numeric(9, 2) as price from generate_series(1, 100000) n",
        rest: "",
        formats: &[Format::Csv, Format::Jsonl, Format::Parquet, Format::Xlsx],
        refusing: &[(Format::Parquet, "column `price` holds NaN in row 99000")],
    },
    Case {
        sql: "select n, repeat('x', case when n = 60000 then 40000 else 3 end) as note from generate_series(1, 100000) n",
        rest: "",
        formats: &[Format::Csv, Format::Jsonl, Format::Parquet, Format::Xlsx],
        refusing: &[(Format::Xlsx, "`note`")],
    },
    Case {
        sql: "select n, 'x' as name from generate_series(1, 3) n",
        rest: "[chart]\nkind = \"bar\"\nx = \"name\"\ny = [\"nothing\"]\n",
        formats: &Format::ALL,
        refusing: &[(Format::Pdf, "`nothing`")],
    },
    Case {
        sql: "select n, repeat('x', 100) as note from generate_series(1, 100000) n",
        rest: "max_bytes = \"5MiB\"\n",
        formats: &[Format::Csv, Format::Jsonl, Format::Parquet, Format::Xlsx],
        refusing: &[(Format::Csv, "larger than 5242880 bytes"), (Format::Jsonl, "larger than 5242880 bytes")],
    },
];

impl Case {
    fn report(&self) -> Report {
        report("shop", self.sql, self.rest).formats(self.formats)
    }

    fn refuses(&self, format: Format) -> bool {
        self.refusing.iter().any(|(refusing, _)| *refusing == format)
    }
}

async fn ended(stack: &Stack, id: uuid::Uuid) -> Job {
    testing::eventually(SOON * 4, "the job is over", async || {
        let job = stack.job(id).await;
        if job.state.is_final() { Ok(job) } else { Err(format!("{} {:?}", job.state, job.progress)) }
    })
    .await
}

async fn each_refusal_leaves_the_others_whole(mut stack: Stack) {
    let source = SourceDatabase::postgres("").await;
    stack.add_source("shop", source.url());
    let worker = stack.start_worker().await;
    let mut keys = Vec::new();
    for case in CASES {
        let id = stack.submit(&case.report().keep_others()).await;
        let job = ended(&stack, id).await;
        assert_eq!((job.state, &job.error), (JobState::Done, &None), "{}", case.sql);
        let refused: Vec<_> = job.refused.iter().map(|refusal| refusal.format).collect();
        assert_eq!(refused, case.refusing.iter().map(|(format, _)| *format).collect::<Vec<_>>(), "{}", case.sql);
        for (refusal, (format, why)) in job.refused.iter().zip(case.refusing) {
            assert!(
                refusal.problem.kind.is_refusal() && refusal.problem.detail.contains(why),
                "{format}: {}",
                refusal.problem
            );
        }
        // The same rows without those formats.
        let others: Vec<_> = case.formats.iter().copied().filter(|format| !case.refuses(*format)).collect();
        let alone = stack.submit(&case.report().formats(&others)).await;
        let alone = ended(&stack, alone).await;
        assert_eq!(alone.artifacts.len(), others.len(), "{}: {:?}", case.sql, alone.error);
        for (one, other) in job.artifacts.iter().zip(&alone.artifacts) {
            assert_eq!((one.format, one.rows, one.complete), (other.format, other.rows, true), "{}", case.sql);
            let file = stack.file(&one.object_key).await;
            assert_eq!(file.len() as u64, one.bytes);
            if matches!(one.format, Format::Csv | Format::Jsonl) {
                assert_eq!(file, stack.file(&other.object_key).await, "{}: {}", case.sql, one.format);
            }
        }
        // Without that wish it fails, as each format alone does.
        let id = stack.submit(&case.report()).await;
        let failed = ended(&stack, id).await;
        assert_eq!(
            (failed.state, failed.artifacts.len(), failed.refused.len()),
            (JobState::Failed, 0, 0),
            "{}",
            case.sql
        );
        let refusing: Vec<_> = case.refusing.iter().map(|(format, _)| *format).collect();
        let id = stack.submit(&case.report().formats(&refusing).keep_others()).await;
        let failed = ended(&stack, id).await;
        let problem = failed.error.unwrap();
        assert_eq!((failed.state, failed.refused.len()), (JobState::Failed, 0), "{}", case.sql);
        for (format, why) in case.refusing {
            let said = problem.detail.contains(why)
                && (refusing.len() == 1 || problem.detail.contains(&format!("{format}: ")));
            assert!(problem.kind.is_refusal() && said, "{}: {problem}", case.sql);
        }
        keys.extend(job.artifacts.iter().chain(&alone.artifacts).map(|artifact| artifact.object_key.clone()));
    }
    keys.sort_unstable();
    testing::eventually(SOON, "no file is there but those of jobs that are done", async || {
        let mut found = stack.keys().await;
        found.sort_unstable();
        if found == keys { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_format_s_refusal_leaves_the_others_whole() {
    each_refusal_leaves_the_others_whole(Stack::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_format_s_refusal_leaves_the_others_whole_on_postgresql_and_rabbitmq() {
    each_refusal_leaves_the_others_whole(Stack::real().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_refusal_fails_every_format() {
    let source = SourceDatabase::postgres("").await;
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    let worker = stack.start_worker().await;
    // The query breaks off at the server, behind rows that one format has refused before.
    let sql = "select n, (case when n = 3 then 'NaN' else '1.5' end)::numeric(9, 2) as price, 1 / (90000 - n) as x
               from generate_series(1, 100000) n";
    let asked = || report("shop", sql, "").formats(&[Format::Csv, Format::Parquet]).keep_others();
    let id = stack.submit(&asked()).await;
    let job = ended(&stack, id).await;
    assert_eq!((job.state, job.error.unwrap().kind), (JobState::Failed, ProblemKind::QueryFailed));
    assert!(job.artifacts.is_empty() && job.refused.is_empty());
    let rest = "max_rows = 1000\n";
    let id = stack.submit(&report("shop", sql, rest).formats(&[Format::Csv, Format::Parquet]).keep_others()).await;
    let job = ended(&stack, id).await;
    assert_eq!((job.state, job.error.unwrap().kind), (JobState::Failed, ProblemKind::TooManyRows));
    testing::eventually(SOON, "no file is left", async || stack.keys().await.is_empty()).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_refused_file_are_gone_once_the_job_is_done() {
    let server = testing::s3::start().await.unwrap();
    let source = SourceDatabase::postgres("").await;
    let mut stack = Stack::embedded().await;
    stack.add_source("shop", source.url());
    let mut stack = stack
        .through(|config| {
            config.storage.url = server.url();
            config.storage.endpoint = Some(server.endpoint());
            config.storage.region = Some(S3::REGION.to_owned());
            config.storage.access_key_id = Some(S3::ACCESS_KEY_ID.to_owned());
            config.storage.secret_access_key = Some(Secret::new(S3::SECRET_ACCESS_KEY));
            config.storage.part_size = ByteSize(5 << 20);
        })
        .await;
    stack.config.worker.max_bytes = ByteSize(12 << 20);
    let worker = stack.start_worker().await;
    let sql = "select n, repeat('x', 1040) as t from generate_series(1, 20000) as n";
    let id = stack.submit(&report("shop", sql, "").formats(&[Format::Csv, Format::Parquet]).keep_others()).await;
    let job = ended(&stack, id).await;
    assert_eq!((job.state, job.refused[0].format), (JobState::Done, Format::Csv), "{:?}", job.error);
    assert_eq!(job.refused[0].problem.kind, ProblemKind::TooManyBytes);
    assert!(server.requests(Operation::Part) >= 1, "some of it was on its way");
    assert_eq!(server.unfinished_uploads().unwrap(), 0);
    assert_eq!(server.keys().unwrap(), [job.artifacts[0].object_key.clone()]);
    worker.stop().await;
}
