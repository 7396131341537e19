//! The audit log on PostgreSQL: the table itself refuses what is never done.

use model::audit::{AuditAct, NewAuditEntry, Person};

use super::store_postgres::set;

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_the_audit_log_are_neither_changed_nor_removed() {
    let (fixture, database) = set().await;
    let entry = NewAuditEntry::new("acme", AuditAct::SignIn, String::new(), &Person::named("ana"));
    fixture.store.note(vec![entry]).await.unwrap();
    assert_eq!(fixture.store.link_audit(10).await.unwrap(), 1);
    let before = fixture.store.audit_entries("acme", 0, 10).await.unwrap();
    for text in [
        "update audit set detail = 'x'",
        "delete from audit",
        "truncate audit",
        "insert into audit select tenant, number, id, at, act, subject, 'x', outcome, count, who_hash, about_hash, hash
         from audit on conflict (tenant, number) do update set detail = excluded.detail",
    ] {
        let refused = format!("{:?}", database.sql(text).await.unwrap_err());
        assert!(refused.contains("the audit log is only added to"), "{text}: {refused}");
    }
    assert_eq!(fixture.store.audit_entries("acme", 0, 10).await.unwrap(), before);
}
