//! user-service and the chain behind it, on both engines.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod chain;
mod fraud_check;
mod keys;
mod users;

use std::process::ExitCode;

use storage::test;

fn main() -> ExitCode {
    storage::testing::run(&[
        test!(users::a_profile_is_made_and_brought_up_to_date),
        test!(users::users_are_read_in_pages),
        test!(users::bad_input_gets_a_sentence),
        test!(users::names_are_on_spans_only_where_that_is_switched_on),
        test!(users::only_names_of_this_machine_are_answered),
        test!(keys::a_repetition_gets_the_first_answer),
        test!(keys::a_key_is_for_one_request),
        test!(keys::a_key_in_use_is_told_so),
        test!(keys::a_failure_is_no_answer_to_keep),
        test!(keys::a_client_that_hangs_up_stops_nothing),
        test!(keys::what_a_service_behind_repeats_is_a_repetition),
        test!(keys::an_answer_is_shared_and_the_database_is_asked_without_it),
        test!(keys::a_cache_that_dies_changes_no_answer),
        test!(keys::only_what_is_kept_is_shared),
        test!(chain::a_key_that_user_service_has_forgotten_is_still_that_order_s),
        test!(chain::the_whole_chain_is_one_trace),
        test!(chain::another_service_can_be_put_into_it),
        test!(chain::a_link_that_fails_is_named),
        test!(chain::a_thousand_requests_at_once),
        test!(chain::what_is_refused_is_no_failure),
        test!(chain::a_chain_that_begins_without_its_databases),
    ])
}
