use crate::service::{DEADLINE, Sandbox, output_text};

#[tokio::test]
async fn every_faulty_file_is_told_with_its_line_and_the_exit_code_says_so() {
    let sandbox = Sandbox::with_counting();
    sandbox
        .write("catalogue/colour.toml", "title = \"T\"\nsource = \"numbers\"\nsql = \"select 1\"\ncolour = \"red\"\n");
    sandbox.write(
        "catalogue/unused.toml",
        "title = \"T\"\nsource = \"numbers\"\nsql = \"select 1 # 'of MySQL'\"\n[params.x]\ntype = \"date\"\n\
         [[columns]]\nname = \"a\"\nwidht = 5\nalign = 0\n[chart]\nkind = \"pie\"\ny = [\"a\", 3]\n",
    );
    sandbox.write("catalogue/Bad Name.toml", "");
    let output = sandbox.output(&["check", "catalogue"]).await;
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(output_text(&output));
    let output = sandbox.output(&["check"]).await;
    assert_eq!(output.status.code(), Some(1), "the configured folder is the default");
}

#[tokio::test]
async fn with_connect_each_query_is_prepared_at_its_source() {
    let sandbox = Sandbox::with_counting();
    assert_eq!(sandbox.say(&["check", "--connect"]).await, "1 good, 0 with faults\n");
    sandbox.write(
        "catalogue/table.toml",
        "title = \"T\"\nsource = \"numbers\"\nsql = \"\"\"\nselect * from missing\"\"\"\n",
    );
    sandbox.write("catalogue/source.toml", "title = \"T\"\nsource = \"elsewhere\"\nsql = \"select 1\"\n");
    sandbox.write(
        "catalogue/column.toml",
        "title = \"T\"\nsource = \"numbers\"\nsql = \"select 1 as a\"\n[[columns]]\nname = \"b\"\n\
         [[columns]]\nname = \"a\"\n[[columns]]\nname = \"c\"\n",
    );
    sandbox.write(
        "catalogue/chart.toml",
        "title = \"T\"\nsource = \"numbers\"\nsql = \"select 1 as a\"\n[chart]\nkind = \"bar\"\nx = \"a\"\ny = [\"c\"]\n",
    );
    let output = sandbox.output(&["check", "--connect"]).await;
    assert_eq!(output.status.code(), Some(1));
    let folder = format!("{}/", sandbox.path("catalogue").display());
    insta::assert_snapshot!(output_text(&output).replace(&folder, ""));
}

#[tokio::test]
async fn the_demo_catalogue_has_no_faults() {
    assert_eq!(Sandbox::empty().say(&["check"]).await, "7 good, 0 with faults\n");
}

#[tokio::test]
async fn a_query_is_read_by_the_rules_of_the_source_that_the_configuration_names() {
    let sandbox = Sandbox::with_counting();
    let settings = std::fs::read_to_string(sandbox.path("waitless.toml")).unwrap();
    // Nothing listens there: no source is asked.
    let shop = "[sources.shop]\nurl = \"mysql://127.0.0.1:1/shop\"\n";
    sandbox.write("waitless.toml", &format!("{settings}\n{shop}"));
    let report = |source: &str, sql: &str| format!("title = \"T\"\nsource = \"{source}\"\nsql = '''\n{sql}'''\n");
    let sql = "select 'it\\'s' as a # it's :this";
    sandbox.write("catalogue/good.toml", &report("shop", sql));
    assert_eq!(sandbox.say(&["check"]).await, "2 good, 0 with faults\n");
    sandbox.write("catalogue/bad.toml", &report("numbers", sql));
    let output = sandbox.output(&["check"]).await;
    assert_eq!(output.status.code(), Some(1));
    let told = output_text(&output);
    assert!(told.contains("bad.toml:4:28: the query uses `:this`, but there is no [params.this]"), "{told}");
    assert!(!told.contains("good.toml"), "{told}");
}

#[tokio::test]
async fn everything_wrong_with_a_file_is_logged_once() {
    let sandbox = Sandbox::with_counting();
    sandbox.configure("[telemetry]\nlog = \"info\"\n");
    let settings = std::fs::read_to_string(sandbox.path("waitless.toml")).unwrap();
    sandbox.write("waitless.toml", &settings.replace("[catalogue]", "[catalogue]\nreload_every = \"50ms\""));
    let service = sandbox.up().await;
    sandbox.write("catalogue/bad.toml", "title = 5\nsource = \"numbers\"\nsql = \"select 1\"\ncolour = \"red\"\n");
    let told = ["bad.toml:1:9: ", "bad.toml:4:1: "];
    testing::eventually(DEADLINE, "both are logged", async || told.iter().all(|place| sandbox.log().contains(place)))
        .await;
    // A later change is seen after many more looks at the folder.
    sandbox.write("catalogue/later.toml", "title = \"T\"\nsource = \"numbers\"\nsql = \"select 1\"\n");
    testing::eventually(DEADLINE, "it is read", async || sandbox.log().contains("later")).await;
    for place in told {
        assert_eq!(sandbox.log().matches(place).count(), 1, "{}", sandbox.log());
    }
    assert_eq!(service.stop().await, 0);
}
