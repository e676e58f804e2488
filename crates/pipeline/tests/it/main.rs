//! pipeline-service and the store that it shares with dispatcher and workers, on both engines.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod api;
mod crashes;
mod dispatcher;
mod executions;
mod fakes;
mod matches;
mod model;
mod outage;
mod pipelines;
mod worker;
mod world;

use std::process::ExitCode;

use storage::test;

fn main() -> ExitCode {
    storage::testing::run(&[
        test!(pipelines::a_pipeline_is_made_changed_and_deleted),
        test!(pipelines::a_name_is_one_pipeline_s),
        test!(pipelines::of_two_that_take_a_name_one_has_it),
        test!(pipelines::of_two_that_change_a_revision_one_does),
        test!(pipelines::they_are_read_in_pages),
        test!(pipelines::changes_are_told_in_their_order),
        test!(pipelines::no_change_becomes_visible_behind_one_s_back),
        test!(pipelines::what_was_loaded_once_is_not_loaded_again),
        test!(executions::from_the_queue_to_its_end),
        test!(executions::a_pipeline_has_one_at_a_time),
        test!(executions::the_same_sets_off_one),
        test!(executions::a_pipeline_of_the_past_sets_nothing_off),
        test!(executions::what_waits_of_a_pipeline_that_is_disabled_is_cancelled),
        test!(executions::what_is_set_off_while_its_pipeline_is_deleted_is_cancelled).only_postgres(),
        test!(executions::what_a_snapshot_was_is_kept_until_its_execution_ends_well),
        test!(executions::one_that_is_executed_is_as_it_was),
        test!(executions::each_is_claimed_by_one),
        test!(executions::the_oldest_is_first),
        test!(executions::no_clock_of_another_machine_counts),
        test!(executions::whoever_lost_it_writes_nothing),
        test!(executions::attempts_are_used_up),
        test!(executions::a_step_is_written_down_and_paid_once),
        test!(executions::a_dead_letter_is_replayed_or_thrown_away),
        test!(executions::of_two_that_replay_two_letters_one_does),
        test!(executions::they_are_listed_by_what_is_named),
        test!(executions::one_that_cannot_be_read_has_failed),
        test!(executions::one_whose_steps_cannot_be_read_has_failed),
        test!(executions::what_there_is_to_do_is_counted),
        test!(matches::a_signal_is_matched_once),
        test!(matches::nothing_remains_of_a_signal_that_was_not_committed),
        test!(matches::a_cache_of_the_past_sets_off_what_is_there_now),
        test!(matches::of_two_that_take_a_signal_one_does),
        test!(matches::what_is_old_goes),
        test!(api::a_pipeline_from_its_making_to_its_end),
        test!(api::names_are_taken_once),
        test!(api::pipelines_are_listed),
        test!(api::every_field_that_is_wrong_is_named),
        test!(api::one_is_set_off_by_hand),
        test!(api::the_same_request_sets_off_one),
        test!(api::what_cannot_be_set_off_by_hand),
        test!(api::trying_out_says_what_would_happen),
        test!(api::dead_letters_are_listed_replayed_and_thrown_away),
        test!(api::matches_of_a_signal_are_told),
        test!(api::examples_are_made_once),
        test!(api::the_example_that_orders_is_enabled_by_who_asks_for_it),
        test!(api::only_names_of_this_machine_are_answered),
        test!(api::every_route_is_described),
        test!(crashes::killed_at_every_step_of_taking_a_signal),
        test!(crashes::killed_at_every_step_of_a_worker_s_attempt),
        test!(model::whatever_is_done_in_whatever_order),
        test!(dispatcher::a_signal_sets_off_what_it_matches_in_one_trace),
        test!(dispatcher::what_is_no_signal_is_passed_by),
        test!(dispatcher::signals_of_other_versions_are_taken),
        test!(dispatcher::what_runs_or_is_too_dear_is_passed_by),
        test!(dispatcher::changes_of_pipelines_are_heeded_while_it_runs),
        test!(dispatcher::everything_is_read_anew_now_and_then),
        test!(dispatcher::a_clock_sets_pipelines_off),
        test!(dispatcher::two_dispatchers_take_each_signal_once),
        test!(dispatcher::one_that_cannot_be_taken_takes_no_other_with_it),
        test!(dispatcher::what_is_in_the_way_is_waited_for),
        test!(dispatcher::a_database_that_goes_away_is_waited_for).only_postgres(),
        test!(dispatcher::without_pipelines_nothing_is_read),
        test!(dispatcher::its_standing_is_told),
        test!(dispatcher::what_a_signal_did_is_told_whole),
        test!(dispatcher::what_was_made_a_moment_before_is_set_off),
        test!(dispatcher::a_bus_that_is_none_is_told),
        test!(worker::from_a_signal_to_an_order_and_a_message),
        test!(worker::what_steps_decide),
        test!(worker::an_old_price_is_not_acted_on),
        test!(worker::another_attempt_goes_on_where_one_was),
        test!(worker::what_is_asked_to_be_waited_is_waited),
        test!(worker::what_can_never_work_is_not_tried_again),
        test!(worker::attempts_are_used_up_and_a_replay_has_as_many_again),
        test!(worker::a_budget_that_is_spent_ends_it),
        test!(worker::an_attempt_that_takes_too_long_is_given_up),
        test!(worker::a_worker_that_stops_gives_back_what_it_has),
        test!(worker::a_worker_that_was_lost_writes_nothing_more),
        test!(worker::what_a_worker_that_died_had_is_taken_up),
        test!(worker::a_healthy_worker_loses_nothing_to_others),
        test!(worker::four_workers_do_forty_executions_each_once),
        test!(worker::a_snapshot_is_taken_again_only_when_it_is_too_old_to_decide_on),
        test!(worker::a_snapshot_that_was_too_old_for_a_decision_is_taken_again),
        test!(worker::a_snapshot_that_is_too_old_for_a_check_is_taken_again),
        test!(worker::it_says_who_it_is),
        test!(outage::a_worker_s_database_that_goes_away_is_waited_for).only_postgres(),
    ])
}
