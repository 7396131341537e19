//! What the people of schedules are told.

use std::time::Duration;

use model::delivery::{DeliveryState, Notify};
use model::job::{Caller, Params};
use model::refusal::OnRefusal;
use model::schedule::{
    FiringOutcome, FiringRecord, NewNotice, NextFiring, NoticeKind, NoticeText, OnEmpty, OnHoliday, Overlap,
    PauseReason, ScheduleSettings, read_nominal,
};
use store::{NewSchedule, ScheduleStep, paused_notice};
use testing::eventually;
use testing::smtp::Behaviour;
use testing::webhook_endpoint;
use uuid::Uuid;

use crate::fixture::{Fixture, SOON, Stack};
use crate::webhook_answers::settings as webhook_settings;

fn settings() -> ScheduleSettings {
    let german = Notify { language: Some("de".to_owned()), ..Notify::by_email("ops@example.com") };
    ScheduleSettings {
        title: Some("Umsatz <b>am Morgen</b>".to_owned()),
        report: "revenue-by-nation".to_owned(),
        params: Params::new(),
        formats: None,
        on_refusal: OnRefusal::Fail,
        notify: vec![Notify::by_email("ana@example.com")],
        alert: Some(vec![german]),
        when: Some("every day at 07:30".to_owned()),
        latest: None,
        zone: "Europe/Berlin".to_owned(),
        calendar: None,
        on_holiday: OnHoliday::Run,
        starts_at: None,
        ends_at: None,
        on_empty: OnEmpty::Send,
        overlap: Overlap::Skip,
        catch_up: Duration::from_secs(3600),
        within: Duration::ZERO,
        alarm_after: None,
        pause_after: 5,
    }
}

/// Writes a schedule that missed a time and is paused, with the notices of both.
async fn miss_and_pause(fixture: &Fixture, settings: ScheduleSettings) {
    let store = &fixture.backends.store;
    let nominal = read_nominal("2026-03-08T07:30:00").unwrap();
    let next = NextFiring { nominal, due: store.now().await.unwrap() };
    let owner = Caller { tenant: "acme".to_owned(), principal: "ana".to_owned() };
    let new = NewSchedule { id: Uuid::now_v7(), owner, settings, next: Some(next), catalogue: None };
    let made = store.create_schedule(new).await.unwrap().unwrap();
    let text = NoticeText {
        title: made.settings.title.clone().unwrap(),
        from: Some("2026-03-08T07:30:00".to_owned()),
        until: Some("2026-03-09T07:30:00".to_owned()),
        count: 2,
        why: None,
        no_event: false,
    };
    let missed = NewNotice { kind: NoticeKind::Missed, text, to: made.settings.alerted().to_vec() };
    let turn = ScheduleStep {
        schedule_id: made.id,
        version: made.version,
        nominal,
        records: vec![FiringRecord { nominal, due: next.due, outcome: FiringOutcome::Missed, detail: None }],
        job: None,
        next: made.next,
        again: None,
        waiting: false,
        pause: Some(PauseReason::OwnerGone),
        failures: 0,
        notices: vec![missed, paused_notice(&made, PauseReason::OwnerGone)],
    };
    store.take_steps(vec![turn]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_of_schedules_are_mailed_once_in_the_language_of_their_reader() {
    let fixture = Fixture::start(Stack::Embedded).await;
    // The first try is refused for now: the same mail comes again.
    fixture.smtp.behave_to("ops@example.com", Behaviour::Answer(451), 1);
    miss_and_pause(&fixture, settings()).await;
    eventually(SOON, "both mails", async || fixture.smtp.mails_to("ops@example.com").len() == 2).await;
    let mut mails = fixture.smtp.mails_to("ops@example.com");
    mails.sort_by_key(|mail| mail.subject());
    assert_eq!(mails[0].subject(), "Ein geplanter Bericht ist angehalten: Umsatz <b>am Morgen</b>");
    assert_eq!(mails[1].subject(), "Ein geplanter Bericht ist ausgeblieben: Umsatz <b>am Morgen</b>");
    assert!(mails[0].text().contains("Wem er gehört, darf keine Berichte mehr erstellen."), "{}", mails[0].text());
    assert!(mails[1].text().contains("2, von 2026-03-08 07:30 bis 2026-03-09 07:30"), "{}", mails[1].text());
    assert!(mails.iter().all(|mail| mail.html().contains("&lt;b&gt;") && !mail.html().contains("<b>")));
    assert!(mails[0].header("X-Waitless-Schedule").is_some() && mails[0].header("X-Waitless-Job").is_none());
    eventually(SOON, "the store to know", async || {
        fixture.backends.store.schedule_counts().await.unwrap().notices == 0
    })
    .await;
    assert!(fixture.smtp.mails_to("ana@example.com").is_empty(), "who gets the report is not who is alerted");
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_without_rows_is_sent_skipped_or_told_of_as_its_schedule_says() {
    let fixture = Fixture::start(Stack::Embedded).await;
    let wish = |to: &str, on_empty| Notify { on_empty, ..Notify::by_email(to) };
    let wishes = || {
        let (skip, tell) = (Some(OnEmpty::Skip), Some(OnEmpty::Tell));
        vec![wish("send@example.com", None), wish("skip@example.com", skip), wish("tell@example.com", tell)]
    };
    let empty = fixture.finish_empty(&fixture.submit_notifying(wishes(), None).await).await;
    let left = eventually(SOON, "two mails, and nothing for the third", async || {
        let left = fixture.deliveries(&empty).await;
        let sent = left.iter().filter(|delivery| delivery.state == DeliveryState::Sent).count();
        (left.len() == 2 && sent == 2).then_some(left)
    })
    .await;
    assert!(left.iter().all(|delivery| delivery.recipient != "skip@example.com"));
    let subject = |to: &str| fixture.smtp.mails_to(to)[0].subject();
    assert_eq!(subject("send@example.com"), "Your report is ready: Revenue by nation and year");
    assert_eq!(subject("tell@example.com"), "There is nothing to report: Revenue by nation and year");
    assert_eq!(fixture.smtp.attempts("skip@example.com"), 0);
    let full = fixture.finish(&fixture.submit_notifying(wishes(), None).await).await;
    assert_eq!(fixture.ended(&full).await.len(), 3);
    assert_eq!(
        fixture.smtp.mails_to("tell@example.com")[1].subject(),
        "Your report is ready: Revenue by nation and year"
    );
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_of_a_schedule_reaches_an_endpoint_too() {
    let endpoint = webhook_endpoint::start().await.unwrap();
    let webhook = webhook_settings(&endpoint);
    let mut fixture =
        Fixture::open_with(Stack::Embedded, |config| drop(config.webhooks.insert("erp".to_owned(), webhook))).await;
    fixture.run().await;
    miss_and_pause(&fixture, ScheduleSettings { alert: Some(vec![Notify::by_webhook("erp")]), ..settings() }).await;
    let told = eventually(SOON, "both notices", async || {
        let told = endpoint.taken();
        if told.len() == 2 { Ok(told) } else { Err(format!("{told:?}")) }
    })
    .await;
    let events = told.iter().map(|one| serde_json::from_str::<serde_json::Value>(&one.body).unwrap());
    let missed = events.into_iter().find(|one| one["type"] == "dev.waitless.schedule.missed").unwrap();
    assert_eq!((&missed["source"], &missed["data"]["count"]), (&"/v1/schedules".into(), &2.into()));
    assert_eq!(missed["data"]["title"], settings().title.unwrap());
    assert!(told.iter().any(|one| missed["id"] == one.header("webhook-id")));
}
