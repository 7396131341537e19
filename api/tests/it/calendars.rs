//! Schedules by calendars of the configuration, as whoever makes them sees it.

use configuration::Calendar;
use serde_json::{Value, json};

use crate::api::{Api, Stack, body, on_both_stacks, problem};

on_both_stacks!(
    working_days_and_times_on_holidays_follow_the_calendar_that_a_schedule_names,
    a_calendar_that_the_configuration_does_not_have_is_refused_with_those_that_it_has,
);

/// Germany, of which the days of May 2031 stand in a file.
fn calendar(folder: &std::path::Path) -> Calendar {
    let file = folder.join("de.ics");
    let event = |day: &str| format!("BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:{day}\r\nEND:VEVENT\r\n");
    std::fs::write(&file, format!("BEGIN:VCALENDAR\r\n{}{}END:VCALENDAR\r\n", event("20310501"), event("20310522")))
        .unwrap();
    let dates = ["2031-04-11", "2031-04-14"].map(|day| day.parse().unwrap()).into_iter().collect();
    Calendar { dates, file: Some(file) }
}

async fn start(stack: Stack) -> Api {
    Api::start_with(stack, |config| {
        let folder = config.catalogue.folder.clone().unwrap();
        config.calendars.insert("de".to_owned(), calendar(folder.parent().unwrap()));
    })
    .await
}

fn nominal_times(schedule: &Value, count: usize) -> Vec<&str> {
    schedule["upcoming"].as_array().unwrap().iter().take(count).map(|one| one["nominal"].as_str().unwrap()).collect()
}

async fn working_days_and_times_on_holidays_follow_the_calendar_that_a_schedule_names(stack: Stack) {
    let api = start(stack).await;
    let monthly = json!({
        "report": "numbers", "params": {"day": {"relative": "today", "minus": "1 working day"}}, "when": "the first day of the month at 08:00",
        "zone": "Europe/Berlin", "starts_at": "2031-04-20T00:00:00Z", "calendar": "de",
    });
    for (on_holiday, first, day) in [
        ("run", "2031-05-01T08:00:00", "2031-04-30"),
        ("skip", "2031-06-01T08:00:00", "2031-05-30"),
        ("before", "2031-04-30T08:00:00", "2031-04-29"),
        ("after", "2031-05-02T08:00:00", "2031-04-30"),
    ] {
        let mut asked = monthly.clone();
        asked["on_holiday"] = json!(on_holiday);
        let made = body(api.post("/v1/schedules").json(&asked).send().await.unwrap()).await;
        assert_eq!((&made["calendar"], &made["on_holiday"]), (&json!("de"), &json!(on_holiday)), "{made}");
        assert_eq!(nominal_times(&made, 1), [first], "{on_holiday}");
        assert_eq!(made["upcoming"][0]["params"]["day"], day, "{on_holiday}");
    }
    let easter = json!({
        "report": "numbers", "when": "every working day at 07:00", "zone": "Europe/Berlin", "starts_at": "2031-04-10T00:00:00Z",
    });
    let made = body(api.post("/v1/schedules").json(&easter).send().await.unwrap()).await;
    assert_eq!(nominal_times(&made, 2), ["2031-04-10T07:00:00", "2031-04-11T07:00:00"], "no calendar, no holiday");
    let path = format!("/v1/schedules/{}", made["id"].as_str().unwrap());
    let change = api.plain(reqwest::Method::PATCH, &path).bearer_auth(&api.key).json(&json!({"calendar": "de"}));
    let changed = body(change.send().await.unwrap()).await;
    assert_eq!(nominal_times(&changed, 2), ["2031-04-10T07:00:00", "2031-04-15T07:00:00"]);
    let asked = json!({"when": "every day at 07:00", "calendar": "de", "on_holiday": "skip"});
    let preview = api.post("/v1/schedules/preview").json(&asked).send().await.unwrap();
    assert_eq!(preview.status(), 200);
    api.stop().await;
}

async fn a_calendar_that_the_configuration_does_not_have_is_refused_with_those_that_it_has(stack: Stack) {
    let api = start(stack).await;
    for (asked, pointer, words) in [
        (json!({"calendar": "fr"}), "/calendar", "there is no calendar `fr`: use one of de"),
        (json!({"on_holiday": "skip"}), "/on_holiday", "needs a calendar"),
        (json!({"calendar": "de", "on_holiday": "dance"}), "/on_holiday", "must be one of: run, skip, before, after"),
    ] {
        let mut asked = asked;
        asked["report"] = json!("numbers");
        asked["when"] = json!("every day at 08:00");
        let answer = api.post("/v1/schedules").json(&asked).send().await.unwrap();
        let (status, kind, told) = problem(answer).await;
        assert_eq!((status, kind.as_str(), &told["errors"][0]["pointer"]), (422, "validation-failed", &json!(pointer)));
        assert!(told["errors"][0]["detail"].as_str().unwrap().starts_with(words), "{told}");
    }
    api.stop().await;
}
