//! The store's contract as tests: one function a rule, its name the rule. Every implementation passes all of them:
//!
//! ```text
//! async fn open(after_commit: Arc<dyn AfterCommit>) -> (Arc<dyn Store>, TempDir) { … }
//! testing::test_store!(open);
//! ```
//!
//! `open` opens a fresh, empty store and returns it with whatever must live as long as it does.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cognitive_complexity,
    reason = "every function here is the body of a test, and every assertion counts as a branch"
)]

mod commit_recorder;

pub mod access;
pub mod attributes;
pub mod audit;
pub mod backlogs;
pub mod cancels;
pub mod catalogue_schedules;
pub mod claims;
pub mod commits;
pub mod deliveries;
pub mod events;
pub mod firings;
pub mod fixture;
pub mod forecasts;
pub mod heartbeats;
pub mod lateness;
pub mod limited_walk;
pub mod limits;
pub mod losses;
pub mod made_from;
pub mod outbox;
pub mod pauses;
pub mod previews;
pub mod reads;
pub mod refusals;
pub mod removals;
pub mod reuse;
pub mod samples;
pub mod schedules;
pub mod sessions;
pub mod settlements;
pub mod submits;
pub mod sweeps;
pub mod transitions;
pub mod turns;
pub mod usages;
pub mod walk;

pub use commit_recorder::CommitRecorder;
pub use fixture::{SOON, StoreFixture, TestWorker};

/// Expands to one test for each rule of the store's contract.
#[macro_export]
macro_rules! test_store {
    ($open:path) => {
        $crate::test_store! { @rules $open;
            submits: [
                a_submitted_job_is_read_back_as_it_was_sent,
                a_submit_writes_one_event_and_rings_its_lane,
                the_same_key_and_body_give_the_same_job,
                a_replayed_submit_answers_the_job_as_it_was_submitted,
                the_same_key_with_another_body_is_refused,
                a_key_is_found_with_what_a_submit_under_it_would_be_answered,
                a_body_is_the_same_under_each_of_its_hashes,
                keys_are_apart_for_every_tenant_and_principal,
                duplicates_within_one_batch_make_one_job,
                fifty_submits_of_one_key_at_once_make_one_job,
                a_bad_job_fails_only_itself,
                a_nul_character_costs_the_neighbours_nothing,
                a_refused_job_does_not_take_its_key,
                a_batch_is_answered_in_order,
                an_empty_batch_is_no_error,
                report_versions_are_kept_once,
            ]
            audit: [
                entries_are_linked_to_a_chain_of_their_tenant_in_their_order,
                many_processes_link_each_entry_once,
                a_submit_is_written_down_with_its_job_and_a_repeat_is_not,
                what_somebody_changes_is_written_down_and_what_changes_nothing_is_not,
                old_rows_are_removed_from_the_beginning_and_the_rest_still_fits,
            ]
            removals: [
                jobs_that_have_ended_are_removed_with_all_that_is_theirs,
                a_job_whose_run_others_wait_for_and_a_file_that_others_have_stay,
                jobs_are_outdated_by_the_time_that_they_ended,
                a_principal_is_erased_and_nobody_else,
                tokens_of_a_principal_who_is_erased_end_without_their_name,
            ]
            forecasts: [
                a_forecast_is_kept_with_its_job_and_told_again_to_a_repeat,
                runs_are_told_by_tenant_and_report_oldest_first,
                a_run_that_was_put_back_has_no_time_from_its_submit,
                the_line_holds_who_waits_and_who_runs,
                a_queue_is_counted_part_by_part,
            ]
            backlogs: [
                a_backlog_counts_each_job_once_by_what_it_needs,
                a_backlog_counts_no_further_than_it_is_asked_to,
                the_newest_deliveries_are_told_with_their_age,
            ]
            previews: [
                a_preview_is_read_by_the_jobs_caller_and_by_nobody_else,
                an_attempt_that_no_longer_holds_the_job_shows_nothing,
                previews_go_when_files_of_their_job_would,
            ]
            reads: [
                a_job_is_read_only_by_its_tenant_and_principal,
                lists_hold_only_the_callers_jobs_newest_first,
                a_whole_tenant_is_listed_for_its_operators,
                lists_are_walked_page_by_page_without_gap,
                lists_are_filtered_by_state_and_report,
                unfinished_jobs_are_counted_by_tenant_up_to_the_limit,
                nobody_cancels_or_replays_anothers_job,
                the_store_answers_checks_and_tells_its_time,
            ]
            claims: [
                a_claim_starts_the_next_attempt,
                a_job_is_claimed_once_by_many_workers_at_once,
                a_job_named_twice_in_one_batch_is_claimed_once,
                a_retry_that_is_not_due_is_not_claimed,
                a_retry_that_is_due_is_claimed,
                a_final_or_unknown_job_is_gone,
                a_redelivered_job_with_a_live_holder_is_held,
                a_redelivered_job_whose_holder_is_gone_is_taken_over,
                a_take_over_releases_all_jobs_of_the_lost_worker,
                a_take_over_after_the_last_crash_fails_the_job,
            ]
            settlements: [
                a_finished_job_has_its_artifacts_and_tells_its_recipients,
                an_error_that_may_pass_puts_the_job_off,
                the_last_error_fails_the_job,
                a_final_error_fails_the_job_at_once,
                a_job_handed_back_counts_an_interruption_and_nothing_else,
                a_settlement_of_another_attempt_writes_nothing,
                a_settlement_by_another_worker_writes_nothing,
                a_settlement_in_the_wrong_state_writes_nothing,
                an_attempt_is_settled_once_even_within_one_batch,
                a_late_settlement_costs_its_neighbours_nothing,
                a_result_that_cannot_be_kept_fails_its_job_and_nothing_else,
                sequence_numbers_have_no_gap_and_attempts_only_grow,
            ]
            cancels: [
                a_pending_job_is_cancelled,
                a_processing_job_is_cancelled_and_its_attempt_fenced,
                a_retrying_job_is_cancelled,
                a_final_job_is_not_cancelled,
                a_failed_job_is_replayed_with_its_counters_at_zero,
                only_failed_jobs_are_replayed,
                a_replayed_job_tells_its_recipients_again,
                one_of_many_cancels_and_finishes_wins,
            ]
            losses: [
                a_worker_that_beats_keeps_its_jobs,
                a_silent_worker_loses_its_jobs,
                a_dead_workers_job_goes_back_and_counts_a_crash,
                three_crashes_fail_the_job,
                a_job_that_lost_two_workers_is_claimed_only_to_run_alone,
                a_retry_that_must_run_alone_waits_for_its_time_too,
                a_job_that_waits_to_be_alone_does_not_crash_with_its_worker,
                a_poison_job_fails_and_its_neighbours_are_done,
                a_worker_taken_for_dead_that_lives_cost_its_jobs_no_crash,
                a_worker_without_row_loses_its_jobs,
                a_retired_worker_is_not_listed,
                many_sweepers_at_once_release_a_job_once,
            ]
            heartbeats: [
                a_beat_carries_progress,
                progress_of_an_older_attempt_is_ignored,
                a_beat_tells_that_a_job_was_cancelled,
                a_beat_tells_that_a_job_was_taken_over,
                a_worker_whose_row_vanished_has_lost_everything_and_is_registered_anew,
                a_worker_that_retires_with_a_job_in_hand_leaves_it_covered,
                workers_are_listed_with_what_they_hold,
                what_a_worker_holds_is_known_whether_it_named_it_or_not,
            ]
            events: [
                events_of_a_job_are_read_after_a_number,
                events_are_read_only_by_their_caller,
                the_feed_is_complete_and_in_order_under_concurrent_writers,
                the_feed_is_read_page_by_page,
                a_feed_from_its_end_holds_everything_that_follows,
            ]
            commits: [
                what_is_told_is_committed_already,
                every_call_tells_exactly_its_own_rows,
                a_call_that_changes_nothing_tells_nothing,
                a_dropped_call_leaves_nothing_half_done,
            ]
            outbox: [
                a_committed_row_belongs_to_its_writer_until_the_lease_is_over,
                a_released_row_is_leased_again,
                a_deleted_row_is_gone,
                two_relays_never_get_the_same_row,
                rows_are_leased_oldest_first_up_to_the_limit,
                every_kind_of_row_is_read_back_as_it_was_written,
            ]
            lateness: [
                who_waits_beyond_what_was_told_is_told_once,
                a_job_is_late_only_with_recipients_and_a_range,
                what_has_ended_or_was_withdrawn_or_put_back_is_never_called_late,
                many_sweepers_at_once_tell_each_recipient_once,
                whoever_joined_a_run_is_told_by_what_they_were_told,
                a_delivery_that_was_overtaken_is_gone,
            ]
            deliveries: [
                a_delivery_is_claimed_once_and_sent,
                a_delivery_put_off_is_claimed_when_it_is_due,
                a_delivery_that_failed_is_final,
                a_lease_that_is_over_is_taken_and_the_former_claim_fenced,
                a_recipient_named_twice_is_told_once,
                deliveries_are_listed_by_tenant_and_state,
                due_deliveries_are_rung,
                a_delivery_that_was_passed_in_its_queue_is_rung_and_one_that_still_waits_is_not,
                a_failed_delivery_is_sent_again_when_somebody_asks,
            ]
            access: [
                an_api_key_is_found_by_its_hash,
                an_api_key_expires,
                an_api_key_is_revoked_once,
                api_keys_are_listed_by_tenant,
                a_link_opens_its_artifact,
                clicks_on_a_link_are_counted_and_logged,
                a_click_log_is_bounded_and_forgotten_and_the_counts_stay,
                a_link_remembers_the_job_that_made_its_report_again,
                a_link_expires,
                a_link_is_revoked_by_its_owner_only,
                an_unknown_hash_opens_nothing,
            ]
            attributes: [
                attributes_stay_with_a_job_as_they_were_sealed,
                whoever_shares_a_run_keeps_their_own_attributes,
                attributes_are_kept_with_an_api_key,
            ]
            sessions: [
                a_session_that_was_ended_stays_so_until_it_is_forgotten,
                it_is_told_how_keys_and_links_stand,
                tokens_are_revoked_one_by_one_and_all_that_a_principal_was_given_until_then,
                an_owner_is_known_as_long_as_what_let_them_in_was_not_revoked,
                a_store_that_can_be_written_says_so_to_many_at_once,
            ]
            usages: [
                submits_are_counted_for_their_tenant_principal_and_report,
                what_is_not_written_is_not_counted,
                rows_and_bytes_are_counted_once_when_a_job_is_done,
                an_answer_of_an_identical_job_is_counted_as_a_submit_and_its_rows_are_not,
                a_hundred_writers_at_once_lose_no_count,
                usage_is_listed_by_principal_and_by_report_the_most_jobs_first,
                a_day_is_folded_into_one_row_without_a_loss,
                usage_is_forgotten_when_it_is_old,
            ]
            sweeps: [
                overdue_retries_are_rung,
                silent_jobs_are_counted_and_rung,
                a_job_that_was_passed_in_its_queue_is_rung_and_one_that_still_waits_is_not,
                a_job_with_an_unsent_row_is_not_silent,
                expired_artifacts_are_found_until_marked,
                unreferenced_keys_are_told_from_referenced_ones,
                idempotency_keys_are_forgotten_after_a_time,
                idempotency_keys_are_forgotten_one_by_one_each_at_its_time,
                no_job_is_uncovered_at_any_step,
                unfinished_jobs_are_counted_by_lane_and_state,
            ]
            reuse: [
                identical_jobs_share_one_run_and_nothing_else,
                a_thousand_identical_submits_at_once_make_one_run,
                a_fresh_result_is_the_answer_at_once,
                a_result_whose_file_has_gone_is_no_answer,
                whoever_wants_a_run_of_their_own_gets_one,
                what_differs_is_never_shared,
                a_follower_that_cancels_leaves_the_others_alone,
                a_leader_that_cancels_leaves_its_run_to_the_others,
                a_run_ends_when_the_last_one_who_waits_for_it_cancels,
                followers_share_every_fate_of_the_run,
                a_lost_worker_costs_leader_and_followers_the_same,
                a_follower_is_neither_claimed_nor_rung,
                repeats_of_joined_and_warm_submits_are_answered_the_same,
                cancels_joins_and_ends_at_once_leave_nobody_waiting,
            ]
            made_from: [
                what_is_made_from_a_kept_file_says_so_and_goes_with_it,
            ]
            refusals: [
                a_job_that_is_done_in_part_says_what_is_missing_wherever_it_is_told,
                whoever_shares_a_run_is_told_what_is_missing,
                less_than_all_is_no_result_of_a_job_that_wants_all,
            ]
            schedules: [
                a_schedule_is_read_back_as_it_was_written,
                schedules_are_listed_by_owner_and_by_tenant_page_by_page,
                a_change_to_a_schedule_is_guarded_by_its_version,
                what_is_due_is_claimed_once_by_many_schedulers_at_once,
                a_claim_that_is_over_is_anothers,
                a_turn_writes_firing_job_event_and_outbox_row_together,
                a_turn_that_comes_too_late_writes_nothing,
                a_nominal_time_fires_once_however_many_try_at_once,
                a_job_that_cannot_be_written_costs_its_neighbours_no_firing,
                what_gets_no_job_is_recorded_once_and_told,
                a_paused_schedule_is_not_due_and_begins_anew,
                a_firing_that_waits_is_looked_at_again,
            ]
            catalogue_schedules: [
                a_place_in_the_catalogue_has_one_schedule_of_a_tenant_however_many_write_it_at_once,
                what_is_in_force_is_held_for_a_while_by_whoever_says_so,
                a_schedule_that_left_the_catalogue_fires_no_more_and_keeps_its_history_until_it_comes_back,
            ]
            firings: [
                a_firing_that_is_asked_for_is_the_same_for_its_key_and_its_data,
                whoever_waits_for_an_event_is_given_those_of_the_day_and_of_no_other_schedule,
                that_an_event_did_not_come_is_written_and_told_once,
                failures_in_a_row_pause_a_schedule_and_a_good_end_forgives_them,
                a_silent_schedule_is_told_of_once_until_it_sends_again,
                a_notice_is_claimed_once_and_tried_again_when_it_is_due,
                firings_go_with_their_schedule_and_with_time,
            ]
            turns: [
                a_job_behind_many_of_another_tenant_is_next_but_one,
                each_doorbell_starts_one_job_and_none_is_left,
                principals_take_turns_within_their_tenant,
                the_oldest_of_a_principal_comes_first,
                twice_the_weight_gets_twice_the_jobs,
                a_lane_gives_none_of_anothers_jobs,
                a_retry_is_found_by_its_own_doorbell_only,
                a_job_that_must_run_alone_is_nobodys_turn,
                a_message_that_comes_again_finds_the_run_it_has_started,
                a_claim_whose_answer_was_lost_is_answered_again,
                a_worker_without_a_row_is_given_no_turn,
                turns_taken_by_many_at_once_start_each_job_once,
            ]
            pauses: [
                whatever_is_paused_waits_until_it_is_resumed,
                a_pause_stops_nothing_else,
                a_retry_of_what_is_paused_waits_for_its_doorbell,
                a_job_that_was_set_aside_is_cancelled_like_any_other,
            ]
            limits: [
                no_more_run_than_a_limit_of_any_kind_allows,
                a_place_is_free_however_a_run_ends,
                a_retry_that_is_due_waits_for_a_place_too,
                a_take_over_finds_its_own_place,
                of_one_key_the_oldest_is_next_and_other_keys_are_free,
                what_has_no_limit_passes_those_that_wait,
                a_limit_that_is_raised_or_lifted_lets_others_go_on,
                tenants_share_the_places_of_what_they_all_wait_for,
                a_job_under_several_limits_leaves_its_place_in_one_line_to_the_next,
                many_workers_at_once_never_exceed_a_limit,
                whoever_follows_a_run_takes_no_place,
            ]
            limited_walk: [
                random_histories_never_exceed_a_limit_and_every_job_ends,
            ]
            transitions: [
                every_arrow_leaves_and_reaches_the_states_of_the_table,
            ]
            walk: [
                random_walks_agree_with_the_model,
            ]
        }
    };
    (@rules $open:path; $($theme:ident: [$($rule:ident,)*])*) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $rule() {
                let fixture = $crate::store_conformance::StoreFixture::open($open).await;
                $crate::store_conformance::$theme::$rule(fixture).await;
            }
        )*)*
    };
}

#[cfg(test)]
mod tests {
    /// A rule that is written but not listed would never run.
    #[test]
    fn every_rule_is_in_the_list() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store_conformance");
        let list = std::fs::read_to_string(folder.join("mod.rs")).unwrap();
        let mut rules = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for line in text.lines().filter_map(|line| line.strip_prefix("pub async fn ")) {
                let name = line.split(['(', '<']).next().unwrap();
                if line.contains("(fixture: StoreFixture)") {
                    rules += 1;
                    assert!(list.contains(&format!("    {name},\n")), "{name} is not listed");
                }
            }
        }
        assert!(rules > 80, "only {rules} rules were found");
    }
}
