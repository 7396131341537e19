use chrono::TimeZone as _;
use model::job::Caller;
use model::refusal::OnRefusal;
use model::schedule::{OnEmpty, OnHoliday, ScheduleState};

use super::*;

fn settings(when: &str) -> ScheduleSettings {
    ScheduleSettings {
        title: None,
        report: "sales".to_owned(),
        params: model::job::Params::new(),
        formats: None,
        on_refusal: OnRefusal::Fail,
        notify: Vec::new(),
        alert: None,
        when: Some(when.to_owned()),
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

fn at(day: u32, hour: u32, minute: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, day, hour, minute, 0).unwrap()
}

fn plan(settings: &ScheduleSettings) -> Plan {
    Plan::of(Uuid::from_u128(7), settings, &Calendars::default()).unwrap().unwrap()
}

/// A schedule whose next time is the first after `from`, looked at `now`.
fn due(settings: ScheduleSettings, from: DateTime<Utc>, now: DateTime<Utc>, last_job: Option<JobState>) -> DueSchedule {
    let next = plan(&settings).after(from);
    let owner = Caller { tenant: "acme".to_owned(), principal: "ana".to_owned() };
    let schedule = Schedule {
        id: Uuid::from_u128(7),
        owner,
        settings,
        state: ScheduleState::Active,
        paused_why: None,
        failures: 0,
        version: 1,
        next,
        waiting: false,
        last_job_id: None,
        last_sent_at: None,
        silent: false,
        catalogue: None,
        ended: false,
        created_at: from,
        updated_at: from,
    };
    DueSchedule { schedule, last_job, events: Vec::new(), now }
}

fn decide(due: &DueSchedule) -> Decision {
    plan(&due.schedule.settings).decide(due)
}

fn times(records: &[FiringRecord], outcome: FiringOutcome) -> Vec<String> {
    let of = records.iter().filter(|record| record.outcome == outcome);
    of.map(|record| record.nominal.format("%d %H:%M").to_string()).collect()
}

#[test]
fn what_is_due_fires_and_the_next_is_one_later() {
    let due = due(settings("every day at 07:30"), at(2, 0, 0), at(2, 6, 30), None);
    let decision = decide(&due);
    assert_eq!(decision.fire, due.schedule.next);
    assert_eq!(decision.next.unwrap().due, at(3, 6, 30));
    assert!(decision.records.is_empty() && !decision.waits);
}

#[test]
fn after_a_day_without_us_each_time_is_missed_or_fires() {
    let due = due(settings("every 15 minutes"), at(2, 0, 0), at(3, 0, 7), Some(JobState::Done));
    let mut decision = decide(&due);
    let missed = times(&decision.records, FiringOutcome::Missed);
    assert_eq!((missed.first().unwrap().as_str(), missed.last().unwrap().as_str()), ("02 01:15", "03 00:00"));
    assert_eq!(missed.len(), 92);
    // The rest of the 96 of a day fire one by one.
    let mut fired = Vec::new();
    let mut now = due;
    while let Some(fire) = decision.fire {
        fired.push(fire.nominal.format("%H:%M").to_string());
        now.schedule.next = decision.next;
        decision = decide(&now);
    }
    assert_eq!(fired, ["00:15", "00:30", "00:45", "01:00"]);
    assert_eq!(decision.next.unwrap().due, at(3, 0, 15));
}

#[test]
fn while_the_job_before_runs_a_firing_is_skipped_or_waits_or_fires_all_the_same() {
    let busy = Some(JobState::Processing);
    let with = |overlap| ScheduleSettings { overlap, ..settings("every 15 minutes") };
    let skip = decide(&due(with(Overlap::Skip), at(2, 0, 0), at(2, 0, 31), busy));
    assert_eq!((skip.fire, times(&skip.records, FiringOutcome::Skipped).len()), (None, 2));
    let waits = decide(&due(with(Overlap::QueueOne), at(2, 0, 0), at(2, 0, 31), busy));
    assert!(waits.fire.is_none() && waits.waits && waits.records.is_empty());
    assert_eq!(waits.next.unwrap().due, at(2, 0, 15));
    let allow = decide(&due(with(Overlap::Allow), at(2, 0, 0), at(2, 0, 31), busy));
    assert_eq!(allow.fire.unwrap().due, at(2, 0, 15));
}

#[test]
fn what_waited_fires_however_late_and_what_came_meanwhile_is_skipped() {
    let queueing = ScheduleSettings { overlap: Overlap::QueueOne, ..settings("every 15 minutes") };
    let mut waited = due(queueing, at(2, 0, 0), at(2, 3, 1), Some(JobState::Failed));
    waited.schedule.waiting = true;
    let decision = decide(&waited);
    assert_eq!(decision.fire.unwrap().due, at(2, 0, 15));
    let said = decision.records.len();
    assert_eq!((said, decision.next.unwrap().due, decision.waits), (11, at(2, 3, 15), false));
}

#[test]
fn a_start_in_the_past_is_caught_up_as_far_as_the_window_reaches() {
    let began = ScheduleSettings { starts_at: Some(at(1, 0, 0)), ..settings("every 15 minutes") };
    assert_eq!(plan(&began).first(at(3, 12, 5), true).unwrap().due, at(3, 11, 15));
    assert_eq!(plan(&began).first(at(3, 12, 5), false).unwrap().due, at(3, 12, 15));
    let later = ScheduleSettings { starts_at: Some(at(5, 12, 0)), ..settings("every 15 minutes") };
    assert_eq!(plan(&later).first(at(3, 12, 5), true).unwrap().due, at(5, 12, 0), "the start itself is in time");
}

#[test]
fn after_its_end_it_has_no_times() {
    let ends = ScheduleSettings { ends_at: Some(at(2, 0, 30)), ..settings("every 15 minutes") };
    let all = plan(&ends).upcoming(plan(&ends).first(at(2, 0, 0), true), 10);
    assert_eq!(all.iter().map(|one| one.due).collect::<Vec<_>>(), [at(2, 0, 15), at(2, 0, 30)]);
}

#[test]
fn a_spread_is_the_same_each_time_and_another_for_others() {
    let within = ScheduleSettings { within: Duration::from_secs(900), ..settings("every day at 07:30") };
    let offset = |id: u128| Plan::of(Uuid::from_u128(id), &within, &Calendars::default()).unwrap().unwrap().offset;
    let offsets: std::collections::BTreeSet<_> = (1..200).map(|_| offset(Uuid::new_v4().as_u128())).collect();
    assert!(offsets.len() > 100, "{}", offsets.len());
    assert!(offsets.iter().all(|offset| (0..900).contains(&offset.num_seconds())));
    let plan = Plan::of(Uuid::from_u128(0x1234_5678_9abc), &within, &Calendars::default()).unwrap().unwrap();
    let two = plan.upcoming(plan.first(at(2, 0, 0), true), 2);
    assert_eq!(two[1].due - two[0].due, TimeDelta::days(1));
    assert_eq!(two[0].due - at(2, 6, 30), plan.offset);
}

#[test]
fn the_clocks_of_spring_and_autumn_neither_double_nor_lose_a_firing() {
    let nightly = settings("every day at 02:30");
    let plan = plan(&nightly);
    let first = plan.after(at(27, 12, 0));
    let spring: Vec<_> = plan.upcoming(first, 3).iter().map(|one| one.due).collect();
    // On the 29th the clocks go from 02:00 to 03:00.
    assert_eq!(spring, [at(28, 1, 30), at(29, 1, 0), at(30, 0, 30)]);
    let october = |day, hour, minute| Utc.with_ymd_and_hms(2026, 10, day, hour, minute, 0).unwrap();
    let autumn: Vec<_> = plan.upcoming(plan.after(october(24, 12, 0)), 2).iter().map(|one| one.due).collect();
    assert_eq!(autumn, [october(25, 0, 30), october(26, 1, 30)]);
}

#[test]
fn what_waits_for_its_event_is_told_of_once_on_each_day_that_has_none() {
    let awaiting = ScheduleSettings { latest: Some("07:30".to_owned()), ..settings("on event") };
    assert_eq!(plan(&awaiting).sentence(), "when its event comes, every day at 07:30 at the latest");
    // The clocks are an hour ahead of Greenwich: the day begins at 23:00, and the time comes at 06:30.
    let decision = |events: Vec<DateTime<Utc>>, now| {
        decide(&DueSchedule { events, ..due(awaiting.clone(), at(2, 0, 0), now, None) })
    };
    let missed = |decision: &Decision| times(&decision.records, FiringOutcome::Missed);
    let early = decision(Vec::new(), at(2, 6, 30));
    assert_eq!((early.records.len(), early.next.unwrap().nominal), (0, at(2, 7, 30).naive_utc()), "it is patient");
    let none = decision(Vec::new(), at(2, 6, 31));
    assert_eq!((missed(&none), none.fire), (vec!["02 07:30".to_owned()], None));
    assert_eq!(none.next.unwrap().nominal, at(3, 7, 30).naive_utc(), "once a day");
    for (event, counts) in [
        (at(1, 22, 59), false),
        (at(1, 23, 0), true),
        (at(2, 6, 29), true),
        (at(2, 6, 45), true),
        (at(2, 23, 0), false),
    ] {
        assert_eq!(missed(&decision(vec![event], at(2, 23, 30))).is_empty(), counts, "{event}");
    }
    // However late somebody looks, and however long the job of the last one runs.
    let days = decision(vec![at(3, 4, 0)], at(4, 12, 0));
    assert_eq!(missed(&days), ["02 07:30", "04 07:30"]);
    let no_latest = ScheduleSettings { latest: None, ..awaiting.clone() };
    assert!(matches!(Plan::of(Uuid::nil(), &no_latest, &Calendars::default()), Ok(None)));
}
