//! signal-generator on both engines, before a market-data-service and a bus of the test.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bus_away;
mod crossings;
mod mocks;
mod month;
mod on_the_bus;
mod routes;
mod spans;
mod world;

use std::process::ExitCode;

use storage::test;

fn main() -> ExitCode {
    storage::testing::run(&[
        test!(crossings::each_crossing_of_the_month_is_one_signal_also_after_restarts),
        test!(crossings::two_generators_make_each_signal_once),
        test!(crossings::what_closed_before_the_first_start_is_history),
        test!(crossings::candles_that_were_missed_are_counted),
        test!(crossings::averages_that_touch_for_long_have_the_side_that_they_came_from),
        test!(crossings::market_data_away_is_seen_and_waited_for),
        test!(crossings::candles_older_than_those_looked_at_are_seen),
        test!(crossings::an_answer_about_something_else_is_none),
        test!(bus_away::nothing_is_lost_and_the_order_is_kept),
        test!(bus_away::a_full_buffer_holds_back_and_loses_no_crossing),
        test!(bus_away::what_the_bus_refuses_for_good_holds_up_nobody),
        test!(bus_away::what_was_published_and_not_ticked_off_comes_again_under_its_id),
        test!(mocks::a_seed_says_the_same_each_time_and_goes_on_after_a_restart),
        test!(mocks::two_generators_of_a_seed_share_its_numbers),
        test!(mocks::without_a_seed_nothing_is_the_same),
        test!(mocks::a_full_buffer_leaves_random_signals_out),
        test!(on_the_bus::signals_are_published_in_the_trace_in_which_they_were_made),
        test!(on_the_bus::a_bus_that_comes_later_gets_what_waits),
        test!(routes::a_signal_is_made_by_hand),
        test!(routes::a_key_makes_one_signal),
        test!(routes::what_is_wrong_is_said),
        test!(routes::signals_are_read_in_pages),
        test!(routes::what_the_generators_do_is_told),
        test!(spans::a_signal_is_one_trace_and_a_look_is_none),
    ])
}
