//! The scanner of queries and the databases agree on what is a placeholder.
//!
//! Made-up statements, full of what opens and closes strings, names and comments, are prepared by the real server. Whatever it
//! accepts has as many parameters as the scanner has found placeholders, or the two disagree about where something ends.
//! `make fuzz` goes on for longer.
#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]
#![expect(clippy::print_stdout, reason = "how much was tried is for people")]

mod servers;
mod statement;

use std::time::Instant;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use report::{Dialect, Query};

use self::servers::{Mariadb, Postgres, Sqlite};
use self::statement::statement;

/// What a database says of a statement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It can be run, and has so many parameters.
    Parameters(usize),
    /// It has parameters that stand in no place where one can stand.
    Unused,
    /// It cannot be run: nobody is misled.
    Refused,
}

/// A database that prepares statements.
pub(crate) trait Server {
    const DIALECT: Dialect;

    /// Writes the parameter with this number, from 1.
    fn parameter(number: usize) -> String;

    async fn prepare(&mut self, sql: &str) -> Verdict;
}

async fn compare(mut server: impl Server) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    compare_on(&mut server, &mut random, seed).await;
}

async fn compare_on<S: Server>(server: &mut S, random: &mut StdRng, seed: u64) {
    let until = Instant::now() + testing::fuzz_time();
    let (mut tried, mut accepted, mut with_placeholders) = (0_u64, 0_u64, 0_u64);
    while Instant::now() < until {
        let sql = statement(random);
        tried += 1;
        let Ok(query) = Query::parse(&sql, S::DIALECT) else { continue };
        let mut found = 0;
        let numbered = query.render(|out, _| {
            found += 1;
            out.push_str(&S::parameter(found));
        });
        let verdict = server.prepare(&numbered).await;
        if verdict == Verdict::Refused {
            continue;
        }
        assert_eq!(verdict, Verdict::Parameters(found), "seed {seed}: {sql:?} became {numbered:?}");
        accepted += 1;
        with_placeholders += u64::from(found > 0);
    }
    println!("{tried} statements, {accepted} accepted, {with_placeholders} of them with placeholders");
    // A generator whose statements are never good would find nothing.
    assert!(with_placeholders * 100 > tried, "{with_placeholders} of {tried}");
}

#[tokio::test]
async fn postgres_and_the_scanner_agree() {
    compare(Postgres::start().await).await;
}

#[tokio::test]
async fn mariadb_and_the_scanner_agree() {
    compare(Mariadb::start().await).await;
}

#[tokio::test]
async fn sqlite_and_the_scanner_agree() {
    compare(Sqlite::start()).await;
}
