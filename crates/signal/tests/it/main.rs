//! Alerts over HTTP, on both engines, handed to a recording order-service of the test.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod delivery;
mod flood;
mod hooks;
mod published;
mod shared;
mod spans;
mod webhook;
mod world;

use std::process::ExitCode;

use storage::test;

fn main() -> ExitCode {
    storage::testing::run(&[
        test!(hooks::a_hook_is_made_listed_and_revoked),
        test!(hooks::a_name_is_one_live_hook_s),
        test!(hooks::what_is_wrong_is_said),
        test!(hooks::only_this_machine_or_the_key_manages),
        test!(hooks::a_token_stands_nowhere),
        test!(webhook::an_alert_is_kept_and_executed),
        test!(webhook::every_refusal_has_its_status_and_code),
        test!(webhook::only_listed_addresses_send),
        test!(webhook::what_comes_again_is_known),
        test!(webhook::fifty_at_once_are_one_signal),
        test!(webhook::a_hook_that_sends_too_much_is_held_back_alone),
        test!(webhook::without_a_database_it_is_to_be_sent_again).only_postgres(),
        test!(webhook::signals_are_read_in_pages),
        test!(delivery::what_becomes_of_a_signal_is_kept),
        test!(delivery::what_is_refused_for_good_holds_up_nobody),
        test!(delivery::what_failed_is_handed_on_again_when_somebody_says_so),
        test!(delivery::order_service_away_is_made_up_for_in_order),
        test!(delivery::a_restart_loses_nothing_that_was_accepted),
        test!(published::an_alert_is_published_once_in_its_trace),
        test!(published::the_bus_away_holds_up_no_order_and_is_made_up_for),
        test!(shared::an_alert_that_one_has_taken_another_knows),
        test!(shared::a_cache_that_dies_lets_no_alert_in_twice),
        test!(shared::what_is_refused_is_not_shared).only_sqlite(),
        test!(spans::an_alert_its_repetition_and_its_delivery_are_seen),
        test!(spans::no_token_and_no_key_is_seen_anywhere),
        test!(spans::a_database_that_is_held_is_on_the_span_and_loses_nothing),
        test!(flood::ten_thousand_webhooks_are_each_executed_once_or_refused),
    ])
}
