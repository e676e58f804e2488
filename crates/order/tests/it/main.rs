//! Orders over HTTP, on both engines, with prices of the recorded month.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod failures;
mod orders;
mod spans;
mod world;

use std::process::ExitCode;

use storage::test;

fn main() -> ExitCode {
    storage::testing::run(&[
        test!(orders::items_are_priced_and_added_up_exactly),
        test!(orders::an_action_without_items_means_something),
        test!(orders::a_key_makes_one_order),
        test!(orders::two_tries_at_once_make_one_order),
        test!(orders::orders_are_read_in_pages),
        test!(orders::bad_input_gets_a_sentence),
        test!(failures::no_price_no_order),
        test!(failures::audit_away_is_made_up_for_in_order),
        test!(failures::a_next_service_that_hangs_is_deferred),
        test!(failures::a_restart_loses_nothing_that_waits),
        test!(failures::the_next_service_is_not_overtaken),
        test!(failures::users_do_not_wait_for_each_other),
        test!(failures::what_is_refused_for_good_is_said_so_and_holds_up_nobody),
        test!(failures::what_is_set_aside_is_read_in_pages_and_can_be_discarded),
        test!(failures::what_is_no_order_s_id_reaches_no_database),
        test!(spans::an_order_shows_its_items_its_queries_and_what_failed),
    ])
}
