//! Who sees which rows, from keys and tokens, settings and definitions to the file: row-level security, attributes in queries, and a
//! database for each tenant, on every kind of source.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testing::{mariadb, postgres};

use super::client::Client;
use super::system::start;

const SALES: &str = "create table sale (id int, tenant varchar(20), owner varchar(20), region varchar(20));
    insert into sale values (1, 'acme', 'ana', 'EU'), (2, 'acme', 'ben', 'US'), (3, 'globex', 'ana', 'EU'), (4, 'acme', 'ana', 'US');";
const POLICY: &str = "alter table sale enable row level security;
    create policy own on sale for select using (
        tenant = current_setting('waitless.tenant', true) and owner = current_setting('waitless.principal', true)
        and region = nullif(current_setting('waitless.attributes', true), '')::jsonb ->> 'region');
    grant select on sale to public;";

/// Who asks: tenant, principal and region, and which rows of `sale` are theirs.
const MATRIX: [(&str, &str, &str, &str); 5] = [
    ("acme", "ana", "EU", "1"),
    ("acme", "ana", "US", "4"),
    ("acme", "ben", "US", "2"),
    ("acme", "ben", "EU", ""),
    ("globex", "ana", "EU", "3"),
];

/// Everything that a test starts, in one folder.
struct Shop {
    folder: tempfile::TempDir,
    postgres: postgres::Database,
    mariadb: mariadb::Database,
    login: String,
}

impl Shop {
    async fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (postgres, mariadb) = tokio::join!(postgres::fresh_database(), mariadb::fresh_database());
        let (postgres, mariadb) = (postgres.unwrap(), mariadb.unwrap());
        let login = format!("reader_{}", uuid::Uuid::new_v4().simple());
        postgres.sql(&format!("{SALES}{POLICY} create role {login} login password 'secret'")).await.unwrap();
        mariadb.sql(&format!("{SALES} delete from sale where tenant <> 'acme'")).await.unwrap();
        for tenant in ["acme", "globex"] {
            let file = rusqlite::Connection::open(folder.path().join(format!("{tenant}.db"))).unwrap();
            let others = format!("delete from sale where tenant <> '{tenant}'");
            file.execute_batch(&format!("{SALES}{others}")).unwrap();
        }
        let shop = Self { folder, postgres, mariadb, login };
        shop.write_settings();
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("waitless.toml")
    }

    fn write_settings(&self) {
        let (_, at) = self.postgres.url().split_once('@').unwrap();
        let folder = self.folder.path().display();
        let settings = format!(
            "[service]\ndata_dir = \"{folder}/data\"\n[catalogue]\nfolder = \"{folder}/catalogue\"\n\
             [sources.secured]\nurl = \"postgres://{}:secret@{at}\"\nrow_level_security = true\n\
             [sources.files]\nurl = \"sqlite:{folder}/{{tenant}}.db\"\n\
             [sources.own.tenants.acme]\nurl = \"{}\"\n\
             [tenants.acme]\nbrand = \"Acme\"\n[tenants.globex]\nbrand = \"Globex\"\n",
            self.login,
            self.mariadb.url()
        );
        std::fs::write(self.file(), settings).unwrap();
        std::fs::create_dir_all(self.path("catalogue")).unwrap();
        let secured = "title = \"Secured\"\nsource = \"secured\"\nreuse = \"1h\"\nformats = [\"csv\", \"parquet\", \"jsonl\"]\n\
             row_level_security = true\nsql = \"select id from sale order by id\"\n";
        std::fs::write(self.path("catalogue/secured.toml"), secured).unwrap();
        for source in ["files", "own"] {
            let report = format!(
                "title = \"Regional\"\nsource = \"{source}\"\nreuse = \"1h\"\n\
                 sql = \"select id from sale where region = :attribute.region and owner = :principal order by id\"\n\
                 [attributes.region]\ntype = \"text\"\n"
            );
            std::fs::write(self.path(&format!("catalogue/{source}.toml")), report).unwrap();
        }
    }

    /// Runs a command of an operator, and returns whether it went well and what it said.
    async fn waitless(&self, arguments: &[&str]) -> (bool, String) {
        let program = testing::process::built("waitless").await.unwrap();
        let mut command = tokio::process::Command::new(program);
        let output =
            command.arg(arguments[0]).arg("--config").arg(self.file()).args(&arguments[1..]).output().await.unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let first = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned();
        (output.status.success(), if arguments[0] == "keys" { first } else { said })
    }

    /// Makes a key as an operator does.
    async fn key(&self, tenant: &str, more: &[&str]) -> String {
        let (went_well, key) = self.waitless(&[&["keys", "create", "--tenant", tenant], more].concat()).await;
        assert!(went_well, "{key}");
        key
    }
}

/// Has a token minted, as a backend does.
async fn mint(gateway: &str, key: &str, asked: &Value) -> String {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.post(format!("{gateway}/v1/tokens")).bearer_auth(key).json(asked).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    answer.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned()
}

fn rows(csv: &str) -> String {
    csv.lines().skip(1).collect::<Vec<_>>().join(",")
}

pub(super) async fn everybody_sees_their_rows() {
    let shop = Shop::make().await;
    let (went_well, said) = shop.waitless(&["check", "--connect"]).await;
    assert!(went_well, "{said}");
    let up = start("waitless", &["up"], &shop.file()).await;
    let gateway = up.url();
    let minting = ["--scope", "mint", "--scope", "read", "--scope", "write"];
    let backends = [("acme", shop.key("acme", &minting).await), ("globex", shop.key("globex", &minting).await)];
    let mut seen = 0;
    for (tenant, principal, region, expected) in MATRIX {
        let (_, key) = backends.iter().find(|(of, _)| *of == tenant).unwrap();
        let asked = json!({"principal": principal, "attributes": {"region": region}});
        let client = Client::new(gateway.clone(), &mint(&gateway, key, &asked).await);
        for report in ["secured", "files"] {
            // Again, so that what was made before may be the answer.
            for _ in 0..2 {
                let csv = client.csv_of(report, None).await;
                assert_eq!(rows(&csv), expected, "{report}: {tenant} {principal} {region}");
                seen += 1;
            }
        }
        if tenant == "acme" {
            assert_eq!(rows(&client.csv_of("own", None).await), expected, "own: {principal} {region}");
        }
    }
    println!("{seen} runs of two reports by {} principals", MATRIX.len());

    // A key says it too; and what nobody says is refused by name.
    let of_key = shop.key("acme", &["--principal", "ana", "--attribute", "region=EU"]).await;
    assert_eq!(rows(&Client::new(gateway.clone(), &of_key).csv_of("files", None).await), "1");
    let nothing = Client::new(gateway.clone(), &shop.key("acme", &["--principal", "ana"]).await);
    let (status, said) = nothing.submit("files").await;
    assert_eq!((status, said["errors"][0]["pointer"].as_str()), (422, Some("/report")));
    assert!(said["errors"][0]["detail"].as_str().unwrap().contains("the attribute `region`"), "{said}");
    assert_eq!(rows(&nothing.csv_of("secured", None).await), "", "of whom nothing is known, no row is");

    // A tenant without a database has a failed job, and nobody else's rows.
    for (tenant, report) in [("globex", "own"), ("initech", "files"), ("initech", "own"), ("Acme", "files")] {
        let key = shop.key(tenant, &["--principal", "ana", "--attribute", "region=EU"]).await;
        let job = Client::new(gateway.clone(), &key).failed(report).await;
        assert!(job["error"]["type"].as_str().unwrap().ends_with("/source-unknown"), "{tenant} {report}: {job}");
    }
    drop(up);
    shop.postgres.sql(&format!("drop owned by {0}; drop role {0}", shop.login)).await.unwrap();
}

pub(super) async fn what_is_wrong_is_found_before_a_job_does() {
    let shop = Shop::make().await;
    let careless = "title = \"Careless\"\nsource = \"secured\"\nsql = \"select id from sale\"\n";
    std::fs::write(shop.path("catalogue/careless.toml"), careless).unwrap();
    let relying = "title = \"Relying\"\nrow_level_security = true\nsource = \"files\"\nsql = \"select 1 as one\"\n";
    std::fs::write(shop.path("catalogue/relying.toml"), relying).unwrap();
    let (went_well, said) = shop.waitless(&["check"]).await;
    assert!(!went_well);
    for part in
        ["careless.toml:2:10: the source `secured` limits rows by who asks", "relying.toml:2:22: the report relies on"]
    {
        assert!(said.contains(part), "{part} in: {said}");
    }
    std::fs::remove_file(shop.path("catalogue/careless.toml")).unwrap();
    std::fs::remove_file(shop.path("catalogue/relying.toml")).unwrap();
    // Each tenant's database is looked at, and told by its tenant.
    std::fs::remove_file(shop.path("globex.db")).unwrap();
    let (went_well, said) = shop.waitless(&["check", "--connect"]).await;
    assert!(!went_well && said.contains("files.toml:") && said.contains("(tenant globex)"), "{said}");
    assert!(!said.contains("(tenant acme)"), "{said}");
    let (went_well, said) = shop.waitless(&["doctor"]).await;
    assert!(!went_well);
    for part in ["source files of acme", "source files of globex", "source own of acme", "policies hold for its user"] {
        assert!(said.contains(part), "{part} in: {said}");
    }
    broken_settings(shop.folder.path(), &shop).await;
    shop.postgres.sql(&format!("drop owned by {0}; drop role {0}", shop.login)).await.unwrap();
}

async fn broken_settings(folder: &Path, shop: &Shop) {
    let settings = format!(
        "[service]\ndata_dir = \"{}/data\"\n[sources.a]\nurl = \"sqlite:a.db\"\nrow_level_security = true\n\
         [sources.b]\nurl = \"postgres://{{tenant}}@db/x\"\n[sources.c]\nurl = \"sqlite:c.db\"\n[sources.c.tenants.acme]\nurl = \"sqlite:d.db\"\n\
         [sources.d]\nurl = \"postgres://db/x\"\nrole = \"reader\"\n",
        folder.display()
    );
    std::fs::write(shop.file(), settings).unwrap();
    let (went_well, said) = shop.waitless(&["config"]).await;
    assert!(!went_well);
    for part in [
        "sources.a.url: SQLite has no row-level security",
        "sources.b.url: {tenant} may stand in the name of the database or file, and nowhere else",
        "sources.c.url: would be read for every tenant without a section of its own",
        "sources.d.role: belongs to row_level_security = true",
    ] {
        assert!(said.contains(part), "{part} in: {said}");
    }
}
