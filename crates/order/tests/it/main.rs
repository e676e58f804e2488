//! Orders over HTTP, on both engines, with prices of the recorded month.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod failures;
mod orders;
mod spans;
mod trading;
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
        test!(trading::signals::a_signal_becomes_an_order_that_is_filled),
        test!(trading::signals::how_much_is_said_in_coins_or_in_money_or_not_at_all),
        test!(trading::signals::a_pipeline_s_signal_is_traded_in_its_name),
        test!(trading::signals::two_processes_get_the_same_signal_at_once),
        test!(trading::signals::nobody_who_is_told_holds_an_order_up),
        test!(trading::signals::a_limit_order_waits_at_the_exchange),
        test!(trading::signals::bad_signals_get_a_sentence),
        test!(trading::refusals::what_the_limits_refuse_leaves_its_marks),
        test!(trading::refusals::too_many_orders_and_too_much_lost),
        test!(trading::refusals::an_old_price_is_no_price),
        test!(trading::refusals::without_a_price_a_signal_waits_and_a_refusal_does_not),
        test!(trading::confirming::an_order_is_confirmed_once),
        test!(trading::confirming::an_order_is_declined_or_runs_out),
        test!(trading::confirming::the_limits_are_asked_again),
        test!(trading::confirming::another_mode_s_order_is_left_alone),
        test!(trading::confirming::what_is_confirmed_and_cannot_be_sent_is_sent_later),
        test!(trading::halting::the_state_stays_over_restarts_and_counts_for_everybody),
        test!(trading::halting::a_halt_takes_back_what_is_open),
        test!(trading::halting::a_halt_stops_what_waits_to_be_sent),
        test!(trading::halting::a_halt_is_immediate),
        test!(trading::halting::processes_share_their_limits),
        test!(trading::halting::a_pause_lets_positions_become_smaller),
        test!(trading::halting::a_pause_takes_back_what_makes_positions_larger),
        test!(trading::asking::a_pause_never_undoes_a_halt),
        test!(trading::asking::a_yes_that_is_not_kept_is_told_as_that),
        test!(trading::recovery::a_lost_answer_is_asked_for_and_found),
        test!(trading::recovery::what_never_arrived_is_sent_again_once),
        test!(trading::recovery::a_slow_exchange_is_not_asked_twice),
        test!(trading::recovery::what_was_not_sent_comes_again),
        test!(trading::recovery::what_the_exchange_refuses_ends),
        test!(trading::recovery::a_part_is_filled_and_then_the_rest),
        test!(trading::recovery::a_process_that_ends_leaves_its_order_to_the_next),
        test!(trading::recovery::what_somebody_wants_back_is_not_sent_again),
        test!(trading::recovery::a_recovery_belongs_to_the_signal_s_trace),
        test!(trading::recovery::what_the_exchange_forgets_is_unknown_until_a_person_gives_it_up),
        test!(trading::money::profit_is_what_the_exchange_counts),
        test!(trading::money::what_brings_nothing_costs_nothing),
        test!(trading::alerts::alerts_make_trading_stricter_and_never_freer),
        test!(trading::alerts::an_alert_takes_back_at_once_what_is_open),
        test!(trading::positions::a_difference_is_found_told_once_and_taken_over),
        test!(trading::reading::orders_are_read_in_pages_and_by_what_they_are),
        test!(trading::reading::all_of_it_is_described),
        test!(trading::reading::only_names_of_this_machine_are_answered),
        test!(trading::spans::a_signal_s_span_says_what_became_of_it),
        test!(trading::spans::everything_is_counted),
    ])
}
