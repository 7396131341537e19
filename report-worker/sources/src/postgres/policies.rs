//! Whether the policies of a database hold for whoever reads.

use model::finding::Findings;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::connect::Pool;
use super::{error, params};
use crate::row_security::RowSecurity;

/// Each role that queries may run as: whether it is there, passes by policies, may be taken, and owns tables whose policies do not hold
/// for their owner.
const ROLES: &str = "select wanted.name, r.oid is not null, coalesce(r.rolsuper or r.rolbypassrls, false), \
    coalesce(pg_catalog.pg_has_role(current_user, r.oid, 'member'), false), \
    exists (select from pg_catalog.pg_class c where c.relowner = r.oid and c.relrowsecurity and not c.relforcerowsecurity) \
    from pg_catalog.unnest($1::text[]) as wanted(name) \
    left join pg_catalog.pg_roles r on r.rolname = coalesce(nullif(wanted.name, ''), current_user::text)";
/// How many tables have policies that hold.
const TABLES: &str = "select count(*) from pg_catalog.pg_class where relrowsecurity and relkind in ('r', 'p')";

/// Notes what stands against it that the database limits the rows. Changes nothing.
pub(super) async fn note(pool: &Pool, security: &RowSecurity, findings: &mut Findings) {
    let asked = async {
        let mut connection = pool.connect().await?;
        let mut roles = security.roles();
        if roles.is_empty() {
            roles.push(String::new());
        }
        let roles = params::texts_param(&roles);
        let (client, wire) = (&connection.client, &mut connection.wire);
        let asking = async {
            let roles = client.query_typed(ROLES, &[(&roles, Type::TEXT_ARRAY)]).await?;
            let tables = client.query_typed(TABLES, &[]).await?;
            let tables: i64 = tables.first().map_or(Ok(0), |row| row.try_get(0))?;
            Ok::<_, Error>((roles.iter().map(RoleFacts::read).collect::<Result<Vec<_>, _>>()?, tables))
        };
        wire.drive(asking).await.map_err(|error| error::to_problem(&error, &[]))
    };
    match asked.await {
        Ok((roles, tables)) => {
            roles.iter().for_each(|role| role.note(findings));
            note_tables(tables, findings);
        }
        Err(problem) => findings.fail(problem.detail, "see that the user may read the catalogue of its database"),
    }
}

fn note_tables(tables: i64, findings: &mut Findings) {
    if tables == 0 {
        findings.warn(
            "no table of it has row-level security, although the source is to rely on it",
            "enable it (`alter table … enable row level security`) and create policies, or leave row_level_security out",
        );
    } else {
        findings.ok(format!("{tables} of its tables have row-level security"));
    }
}

struct RoleFacts {
    name: String,
    is_there: bool,
    passes_by: bool,
    may_be_taken: bool,
    owns: bool,
}

impl RoleFacts {
    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            name: row.try_get(0)?,
            is_there: row.try_get(1)?,
            passes_by: row.try_get(2)?,
            may_be_taken: row.try_get(3)?,
            owns: row.try_get(4)?,
        })
    }

    fn note(&self, findings: &mut Findings) {
        let who = if self.name.is_empty() { "its user".to_owned() } else { format!("the role `{}`", self.name) };
        if !self.is_there {
            findings.fail(format!("{who} is not there"), "create it, or correct role and roles of this source");
        } else if self.passes_by {
            findings.fail(
                format!("{who} passes by row-level security: every job will fail"),
                "take superuser and bypassrls from it, or set a role that has neither",
            );
        } else if !self.may_be_taken {
            findings.fail(format!("{who} cannot be taken by its user"), "grant it: `grant <role> to <user>`");
        } else if self.owns {
            findings.warn(
                format!("{who} owns tables, for whose owner policies do not hold"),
                "read as another role, or `alter table … force row level security`",
            );
        } else {
            findings.ok(format!("policies hold for {who}"));
        }
    }
}
