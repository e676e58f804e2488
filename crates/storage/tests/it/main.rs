//! The database layer on both engines.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod basics;
mod faults;
mod keys;
mod lines;
mod migrations;
mod outboxes;
mod parked;
mod proxy;
mod spans;
mod support;
mod tls;

use std::process::ExitCode;

use storage::test;

fn main() -> ExitCode {
    storage::testing::run(&[
        test!(basics::every_kind_of_value_comes_back_as_it_was),
        test!(basics::money_is_exact_and_never_a_float),
        test!(basics::a_transaction_is_all_or_nothing),
        test!(basics::errors_say_what_is_wrong),
        test!(basics::a_failed_transaction_can_only_be_rolled_back),
        test!(basics::writers_wait_for_each_other),
        test!(migrations::several_processes_migrate_at_once),
        test!(migrations::further_migrations_are_applied_later),
        test!(migrations::changed_and_missing_migrations_are_clear_errors),
        test!(migrations::a_broken_migration_leaves_nothing_behind),
        test!(outboxes::order_is_kept),
        test!(outboxes::an_entry_of_a_rolled_back_transaction_never_was),
        test!(outboxes::whoever_writes_an_entry_may_deliver_it_itself),
        test!(outboxes::what_its_writer_has_delivered_is_ticked_off_once),
        test!(outboxes::an_entry_whose_writer_died_is_delivered_when_its_lease_has_run_out),
        test!(outboxes::a_failing_entry_blocks_those_behind_it),
        test!(outboxes::two_processes_never_deliver_the_same_entry_at_once),
        test!(outboxes::a_late_word_does_not_disturb_who_has_the_entry_now),
        test!(outboxes::a_stopped_service_gives_back_what_it_was_delivering),
        test!(outboxes::a_delivery_belongs_to_the_trace_that_wrote_the_entry),
        test!(lines::groups_do_not_wait_for_each_other),
        test!(lines::an_outage_is_made_up_for_while_the_load_goes_on),
        test!(lines::a_later_entry_of_a_group_waits_whoever_writes_it),
        test!(lines::what_a_crash_has_left_is_not_overtaken),
        test!(lines::an_entry_without_a_lease_costs_one_statement),
        test!(lines::a_slow_delivery_is_ended_and_holds_up_its_group_alone),
        test!(lines::a_lease_lasts_as_long_as_its_process_and_not_much_longer),
        test!(parked::what_is_refused_for_good_is_parked_and_can_be_given_back),
        test!(parked::what_cannot_be_read_is_parked),
        test!(parked::the_writer_may_park_its_own),
        test!(parked::parked_entries_are_read_in_pages_and_can_be_discarded),
        test!(parked::a_blocked_entry_is_named_in_the_log),
        test!(keys::a_repetition_gets_the_first_answer),
        test!(keys::a_released_key_is_the_same_request_s_again),
        test!(keys::a_lease_is_renewed_while_its_request_works),
        test!(keys::a_lost_lease_does_not_undo_work),
        test!(keys::expired_keys_are_deleted_without_any_request),
        test!(keys::a_request_that_never_ended_gives_way),
        test!(keys::only_one_of_many_at_once_is_the_first),
        test!(keys::expired_keys_are_new_and_are_cleaned_up_bit_by_bit),
        test!(spans::each_statement_is_a_client_span),
        test!(spans::an_error_is_on_its_span),
        test!(spans::statements_are_measured),
        test!(spans::a_connection_at_work_is_counted),
        test!(spans::a_server_has_its_address_on_the_span).only_postgres(),
        test!(faults::a_stopped_server_is_away_and_comes_back).only_postgres(),
        test!(faults::a_service_starts_while_its_server_is_away).only_postgres(),
        test!(faults::a_server_that_does_not_answer_any_more_is_away).only_postgres(),
        test!(faults::a_server_that_never_answers_is_waited_for_in_vain_for_a_bounded_time).only_postgres(),
        test!(faults::a_wrong_password_is_a_sentence_without_it).only_postgres(),
        test!(faults::a_slow_statement_is_ended),
        test!(faults::a_full_pool_is_a_timeout),
        test!(faults::statements_that_are_given_up_leave_nothing_behind),
        test!(faults::another_writer_is_waited_for_within_bounds).only_sqlite(),
        test!(faults::what_was_written_reaches_the_file_beside_the_writers).only_sqlite(),
        test!(faults::the_log_begins_anew_while_somebody_writes).only_sqlite(),
        test!(faults::a_file_that_is_no_database_is_told_until_it_is_gone).only_sqlite(),
        test!(faults::settings_that_cannot_be_used_are_told_without_the_secret).only_sqlite(),
        test!(tls::the_url_decides_on_tls).only_postgres(),
    ])
}
