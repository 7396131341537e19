//! Computes again what a file should hold: it asks the source itself and writes the rows with code of its own, so that nothing of the
//! service vouches for the service.

use std::collections::HashMap;
use std::path::PathBuf;

use configuration::Config;
use model::artifact::{Artifact, Format};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::gather::contents;
use super::record::Contents;
use crate::client::Operation;

/// Files of more rows are compared with their own row only.
const MOST_ROWS: u64 = 200_000;

/// Asks sources, each question once.
#[derive(Debug)]
pub(super) struct SourceRows {
    catalogue: Option<PathBuf>,
    urls: HashMap<String, String>,
    known: HashMap<(String, Format), Contents>,
}

/// What a source answers.
struct Table {
    /// With whether its values are numbers.
    columns: Vec<(String, bool)>,
    rows: Vec<Vec<Option<String>>>,
}

impl SourceRows {
    pub(super) fn new(config: &Config) -> Self {
        let urls = config.sources.iter().map(|(name, source)| (name.clone(), source.url.expose().to_owned()));
        Self { catalogue: config.catalogue.folder.clone(), urls: urls.collect(), known: HashMap::new() }
    }

    /// Computes the file of an artifact from what was asked for; `None` where this is no CSV or JSON Lines, or too large.
    pub(super) async fn contents(&mut self, operation: &Operation, artifact: &Artifact) -> Option<Contents> {
        let format = artifact.format;
        if !matches!(format, Format::Csv | Format::Jsonl) || artifact.rows > MOST_ROWS || !artifact.complete {
            return None;
        }
        let (source, sql) = self.question(operation)?;
        let key = (format!("{source} {sql}"), format);
        if let Some(known) = self.known.get(&key) {
            return Some(known.clone());
        }
        let url = self.urls.get(&source)?;
        let table = match url.strip_prefix("sqlite:") {
            Some(file) => ask_file(file, &sql),
            None => ask_server(url, &sql).await,
        };
        let found = contents(if format == Format::Csv { csv(&table) } else { json_lines(&table) }.as_bytes());
        self.known.insert(key, found.clone());
        Some(found)
    }

    /// The source and the query of a report, with its parameters in it.
    fn question(&self, operation: &Operation) -> Option<(String, String)> {
        let file = self.catalogue.as_ref()?.join(format!("{}.toml", operation.report));
        let definition: toml::Table = std::fs::read_to_string(file).ok()?.parse().ok()?;
        let text = |key: &str| Some(definition.get(key)?.as_str()?.to_owned());
        let mut sql = text("sql")?;
        for (name, parameter) in definition.get("params").and_then(toml::Value::as_table).into_iter().flatten() {
            let given = operation.params.get(name).map(ToString::to_string);
            let value = given.or_else(|| Some(parameter.get("default")?.to_string()))?;
            // How long a report sleeps changes none of its rows.
            let value = if name == "ms" { "0".to_owned() } else { value.replace('"', "'") };
            sql = sql.replace(&format!(":{name}"), &value);
        }
        Some((text("source")?, sql))
    }
}

fn ask_file(file: &str, sql: &str) -> Table {
    use rusqlite::types::ValueRef;
    let database = rusqlite::Connection::open(file).unwrap();
    let mut statement = database.prepare(sql).unwrap();
    let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let (mut numbers, mut rows) = (vec![true; names.len()], Vec::new());
    let mut found = statement.query([]).unwrap();
    while let Some(row) = found.next().unwrap() {
        let value = |at: usize| match row.get_ref(at).unwrap() {
            ValueRef::Null => (None, true),
            ValueRef::Integer(value) => (Some(value.to_string()), true),
            ValueRef::Real(value) => (Some(value.to_string()), true),
            ValueRef::Text(text) | ValueRef::Blob(text) => (Some(String::from_utf8_lossy(text).into_owned()), false),
        };
        let values: Vec<_> = (0..names.len()).map(value).collect();
        numbers.iter_mut().zip(&values).for_each(|(all, (_, number))| *all &= number);
        rows.push(values.into_iter().map(|(text, _)| text).collect());
    }
    Table { columns: names.into_iter().zip(numbers).collect(), rows }
}

async fn ask_server(url: &str, sql: &str) -> Table {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let prepared = client.prepare(sql).await.unwrap();
    let is_number = |name: &str| matches!(name, "int2" | "int4" | "int8" | "numeric" | "float8");
    let columns = prepared.columns().iter().map(|one| (one.name().to_owned(), is_number(one.type_().name())));
    let columns: Vec<_> = columns.collect();
    let answer = client.simple_query(sql).await.unwrap();
    let rows = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
        _ => None,
    });
    let rows = rows.collect();
    connection.abort();
    Table { columns, rows }
}

fn csv(table: &Table) -> String {
    let field = |text: &str| match text {
        "" => "\"\"".to_owned(),
        text if text.contains(['"', ',', '\r', '\n']) => format!("\"{}\"", text.replace('"', "\"\"")),
        text => text.to_owned(),
    };
    let names = table.columns.iter().map(|(name, _)| field(name)).collect::<Vec<_>>().join(",");
    let mut file = format!("{names}\r\n");
    for row in &table.rows {
        let fields: Vec<_> = row.iter().map(|value| value.as_deref().map(field).unwrap_or_default()).collect();
        file.push_str(&fields.join(","));
        file.push_str("\r\n");
    }
    file
}

fn json_lines(table: &Table) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut file = String::new();
    for row in &table.rows {
        let fields: Vec<_> = row
            .iter()
            .zip(&table.columns)
            .map(|(value, (name, number))| {
                let value = match value {
                    None => "null".to_owned(),
                    Some(value) if *number => value.clone(),
                    Some(value) => quoted(value),
                };
                format!("{}:{value}", quoted(name))
            })
            .collect();
        file.push_str(&format!("{{{}}}\n", fields.join(",")));
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_written_as_the_formats_say() {
        let text = |text: &str| Some(text.to_owned());
        let table = Table {
            columns: vec![("n".to_owned(), true), ("what".to_owned(), false)],
            rows: vec![vec![text("1"), text("a \"b\"")], vec![text("2"), None], vec![text("3"), text("")]],
        };
        assert_eq!(csv(&table), "n,what\r\n1,\"a \"\"b\"\"\"\r\n2,\r\n3,\"\"\r\n");
        assert_eq!(
            json_lines(&table),
            "{\"n\":1,\"what\":\"a \\\"b\\\"\"}\n{\"n\":2,\"what\":null}\n{\"n\":3,\"what\":\"\"}\n"
        );
    }
}
