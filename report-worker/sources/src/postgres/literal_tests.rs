//! Literals in places where none belongs, as if the scanner had been wrong, on a real server.

use testing::postgres;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

use super::write_literal;

/// Statements with a literal in a string, a name, a body or a comment.
const MISTAKEN: &[&str] = &[
    "select 'it is <> here'",
    "select 'it is ''<>'' here'",
    "select E'it\\'s <> here'",
    "select E'a'\n'it\\'s <> here'",
    "select U&'it is <> here'",
    "select $$ <> $$",
    "select $é$ <> $é$",
    "select 1 as \"<>\"",
    "select 1 /* <> */",
    "select 1 /* /* */ <> */",
    "select 1 -- <>\n",
    "select 'a'<>'b'",
    "select query_to_xml('select ''<>''', true, true, '')",
];

/// Values that would be SQL, if anything let them.
const HOSTILE: &[&str] = &[
    "' || (select secret from vault) || '",
    "'::text) || (select secret from vault) || ('",
    "\\' || (select secret from vault) --",
    "*/ || (select secret from vault) /*",
    "$$ || (select secret from vault) || $$",
    "$é$ || (select secret from vault) || $é$",
    "\" from vault union select secret as \"",
    "\n union select secret from vault --",
    "union select secret from vault",
    " || ",
    "é",
    "42",
    "",
];

async fn outcome(client: &Client, statement: &str, value: &str) -> Option<Vec<String>> {
    let mut literal = String::new();
    write_literal(&mut literal, Some(value), &Type::TEXT).unwrap();
    let rows = client.simple_query(&statement.replace("<>", &literal)).await.ok()?;
    let texts = rows.iter().filter_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
        _ => None,
    });
    Some(texts.collect())
}

#[tokio::test]
async fn a_value_is_no_sql_even_where_the_scanner_takes_a_string_for_code() {
    for settings in ["", "set standard_conforming_strings = off; set backslash_quote = on;"] {
        let database = postgres::fresh_database().await.unwrap();
        let (client, connection) = tokio_postgres::connect(database.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let set_up = format!("create table vault as select 'hunter2' as secret; {settings}");
        client.batch_execute(&set_up).await.unwrap();
        for statement in MISTAKEN {
            let harmless = outcome(&client, statement, "a.").await;
            for value in HOSTILE {
                let rows = outcome(&client, statement, value).await;
                // An empty one may be a doubled quote, and the rest of the literal text: nothing of it is the value's.
                assert!(value.is_empty() || rows.is_some() == harmless.is_some(), "{settings} {statement} {value}");
                assert!(
                    rows.iter().flatten().all(|text| !text.contains("hunter2")),
                    "{settings} {statement}: {rows:?}"
                );
            }
        }
    }
}
