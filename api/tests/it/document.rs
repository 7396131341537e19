//! `docs/openapi.json` is what the handlers say.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use utoipa::OpenApi as _;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

fn generated() -> String {
    format!("{}\n", api::openapi::Document::openapi().to_pretty_json().unwrap())
}

#[test]
fn the_checked_in_document_is_the_generated_one() {
    let checked_in = std::fs::read_to_string(Path::new(FILE)).unwrap_or_default();
    assert!(
        checked_in == generated(),
        "docs/openapi.json is not what the handlers say; refresh it with:\n  \
         cargo test -p api --test it -- --ignored refresh_the_document"
    );
}

#[test]
#[ignore = "writes docs/openapi.json"]
fn refresh_the_document() {
    std::fs::write(Path::new(FILE), generated()).unwrap();
}

#[test]
fn the_document_has_exactly_the_routes_of_the_table() {
    let document: Value = serde_json::from_str(&generated()).unwrap();
    let documented: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(|method| (path.clone(), method.to_uppercase()))
        })
        .collect();
    let table: BTreeSet<_> =
        api::routes::table().iter().map(|row| (row.path.to_owned(), row.method.to_string())).collect();
    assert_eq!(documented, table);
}

#[test]
fn public_routes_and_no_others_need_no_key() {
    let document: Value = serde_json::from_str(&generated()).unwrap();
    for row in api::routes::table() {
        let operation = &document["paths"][row.path][row.method.as_str().to_lowercase()];
        let open = operation["security"] == serde_json::json!([{}]);
        assert_eq!(open, row.access == api::auth::Access::Public, "{row:?}: {}", operation["security"]);
    }
}
