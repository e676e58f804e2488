//! The database layer on both engines.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod basics;
mod faults;
mod keys;
mod migrations;
mod outboxes;
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
        test!(outboxes::an_entry_whose_writer_died_is_delivered_when_its_lease_has_run_out),
        test!(outboxes::a_failing_entry_blocks_those_behind_it),
        test!(outboxes::two_processes_never_deliver_the_same_entry_at_once),
        test!(outboxes::a_late_word_does_not_disturb_who_has_the_entry_now),
        test!(outboxes::a_stopped_service_gives_back_what_it_was_delivering),
        test!(outboxes::a_delivery_belongs_to_the_trace_that_wrote_the_entry),
        test!(keys::a_repetition_gets_the_first_answer),
        test!(keys::a_released_key_is_new_again),
        test!(keys::a_request_that_never_ended_gives_way),
        test!(keys::the_answer_can_be_kept_with_the_work),
        test!(keys::only_one_of_many_at_once_is_the_first),
        test!(keys::expired_keys_are_new_and_are_cleaned_up_bit_by_bit),
        test!(spans::each_statement_is_a_client_span),
        test!(spans::an_error_is_on_its_span),
        test!(spans::statements_are_measured),
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
        test!(faults::a_file_that_is_no_database_is_told_until_it_is_gone).only_sqlite(),
        test!(faults::settings_that_cannot_be_used_are_told_without_the_secret).only_sqlite(),
        test!(tls::the_url_decides_on_tls).only_postgres(),
    ])
}
