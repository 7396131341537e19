use crate::service::{Place, said};

#[tokio::test]
async fn every_faulty_file_is_told_with_its_line_and_the_exit_code_says_so() {
    let place = Place::with_counting();
    place.write("catalogue/colour.toml", "title = \"T\"\nsource = \"numbers\"\nsql = \"select 1\"\ncolour = \"red\"\n");
    place.write(
        "catalogue/unused.toml",
        "title = \"T\"\nsource = \"numbers\"\nsql = \"select 1\"\n[params.x]\ntype = \"date\"\n",
    );
    place.write("catalogue/Bad Name.toml", "");
    let output = place.output(&["check", "catalogue"]).await;
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(said(&output));
    let output = place.output(&["check"]).await;
    assert_eq!(output.status.code(), Some(1), "the configured folder is the default");
}

#[tokio::test]
async fn with_connect_each_query_is_prepared_at_its_source() {
    let place = Place::with_counting();
    assert_eq!(place.say(&["check", "--connect"]).await, "1 good, 0 with faults\n");
    place.write(
        "catalogue/table.toml",
        "title = \"T\"\nsource = \"numbers\"\nsql = \"\"\"\nselect * from missing\"\"\"\n",
    );
    place.write("catalogue/source.toml", "title = \"T\"\nsource = \"elsewhere\"\nsql = \"select 1\"\n");
    place.write(
        "catalogue/column.toml",
        "title = \"T\"\nsource = \"numbers\"\nsql = \"select 1 as a\"\n[[columns]]\nname = \"b\"\n",
    );
    place.write(
        "catalogue/chart.toml",
        "title = \"T\"\nsource = \"numbers\"\nsql = \"select 1 as a\"\n[chart]\nkind = \"bar\"\nx = \"a\"\ny = [\"c\"]\n",
    );
    let output = place.output(&["check", "--connect"]).await;
    assert_eq!(output.status.code(), Some(1));
    let folder = format!("{}/", place.path("catalogue").display());
    insta::assert_snapshot!(said(&output).replace(&folder, ""));
}

#[tokio::test]
async fn the_demo_catalogue_has_no_faults() {
    assert_eq!(Place::empty().say(&["check"]).await, "7 good, 0 with faults\n");
}
