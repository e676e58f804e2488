//! notifier-service in-process, against the simulator, the real services behind it, and scripted ones where those cannot
//! misbehave as wanted. What is kept in its database is tested on both engines.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;
mod bot;
mod desk;
mod failures;
mod notices;
mod outbox;
mod postman;
mod scripted;
mod spans;
mod telegraph;
mod trading;
mod webhook;
mod world;

use std::process::ExitCode;

use storage::test;

fn main() -> ExitCode {
    storage::testing::run(&[
        test!(outbox::through_an_outage_each_message_arrives_once_and_in_order),
        test!(outbox::what_somebody_waits_for_goes_first_and_each_kind_in_its_order),
        test!(outbox::what_is_urgent_waits_for_telegram_and_for_what_is_on_its_way),
        test!(outbox::an_orders_urgent_words_come_after_its_first_ones),
        test!(outbox::what_was_urgent_survives_a_kill_and_is_first_again),
        test!(outbox::orders_that_finish_while_many_wait_are_lines_of_one_message),
        test!(outbox::lines_that_are_too_many_for_a_message_begin_another),
        test!(outbox::lines_are_added_by_edits_and_an_order_on_its_way_keeps_its_message),
        test!(outbox::what_waited_before_an_upgrade_is_said_after_it),
        test!(outbox::telegram_says_how_long_to_wait_and_only_that_chat_waits),
        test!(outbox::what_was_put_survives_a_kill),
        test!(outbox::only_a_kill_between_telegrams_answer_and_the_commit_repeats_a_message),
        test!(outbox::an_order_is_one_message_and_only_the_newest_words_that_wait_are_said),
        test!(outbox::words_that_come_while_older_ones_are_on_their_way_are_said_after_them),
        test!(outbox::edits_that_change_nothing_count_and_those_that_cannot_be_become_messages),
        test!(outbox::what_can_never_be_said_or_is_too_old_is_dropped_and_the_next_goes),
        test!(outbox::words_follow_a_group_to_its_new_id),
        test!(outbox::what_is_said_later_is_said_in_the_trace_of_its_cause),
        test!(outbox::what_a_chat_was_told_is_remembered_there_and_nowhere_else),
        test!(notices::an_order_is_told_once_to_everybody_and_its_life_is_one_message),
        test!(notices::chats_that_are_named_are_told_groups_too_and_a_restart_repeats_nothing),
        test!(notices::many_refusals_are_one_message_and_hold_up_nobody),
        test!(notices::what_a_pipeline_tells_is_a_message_of_its_own_and_remembered),
        test!(notices::a_notice_is_told_in_the_trace_that_it_came_in),
        test!(notices::a_notice_that_cannot_be_told_is_said_so),
        test!(trading::every_command_asks_order_service_and_is_answered),
        test!(trading::pause_stop_and_resume_are_for_those_who_may),
        test!(trading::a_pause_says_that_trading_is_halted_already),
        test!(trading::a_service_that_is_away_is_named),
        test!(trading::an_order_is_confirmed_once_by_somebody_who_may),
        test!(trading::a_yes_that_is_held_back_has_to_be_said_again),
        test!(trading::a_button_that_expired_says_so_and_goes),
        test!(trading::an_update_that_comes_again_after_a_restart_is_answered_once),
        test!(trading::why_tells_the_reason_and_where_the_time_went),
        test!(trading::trading_is_stopped_although_nothing_can_be_written_down).only_sqlite(),
        test!(trading::trading_is_stopped_although_something_older_waits).only_sqlite(),
        test!(trading::a_chart_is_a_picture_with_what_happened_in_it),
        test!(api::an_ask_is_answered_from_the_recorded_month).only_sqlite(),
        test!(api::one_unknown_symbol_of_several_is_refused_beside_the_answers).only_sqlite(),
        test!(api::bad_input_gets_a_sentence).only_sqlite(),
        test!(api::the_service_describes_and_measures_itself).only_sqlite(),
        test!(bot::the_button_gets_an_answer_and_its_buttons_work).only_sqlite(),
        test!(bot::plain_questions_several_symbols_and_texts_that_mean_nothing).only_sqlite(),
        test!(bot::a_stranger_is_told_once_and_gets_nothing_else).only_sqlite(),
        test!(bot::when_telegram_asks_to_slow_down_every_message_arrives_once_and_in_order).only_sqlite(),
        test!(bot::a_service_that_is_away_is_named_to_the_user).only_sqlite(),
        test!(bot::with_telegram_away_asks_over_http_are_answered_and_the_bot_comes_back).only_sqlite(),
        test!(bot::what_was_answered_is_not_answered_again_after_a_restart).only_sqlite(),
        test!(bot::updates_that_cannot_be_read_are_skipped_and_do_not_come_again).only_sqlite(),
        test!(bot::a_second_poller_is_named_as_what_it_is).only_sqlite(),
        test!(bot::through_an_outage_every_message_arrives_once_and_in_order),
        test!(bot::a_chart_arrives_as_a_picture_that_can_be_read).only_sqlite(),
        test!(failures::who_is_away_is_named).only_sqlite(),
        test!(failures::an_answer_that_cannot_be_read_is_a_bad_gateway).only_sqlite(),
        test!(failures::who_really_failed_is_passed_on).only_sqlite(),
        test!(failures::who_is_too_slow_is_named).only_sqlite(),
        test!(failures::a_market_that_decision_service_refuses_is_not_the_askers_mistake).only_sqlite(),
        test!(failures::a_symbol_that_is_not_served_is_the_askers_mistake).only_sqlite(),
        test!(failures::a_decision_is_asked_for_once_since_it_may_have_been_paid).only_sqlite(),
        test!(failures::probes_that_fail_do_not_keep_anybody_from_asking).only_sqlite(),
        test!(spans::an_ask_over_http_is_one_trace).only_sqlite(),
        test!(spans::an_update_its_asks_and_its_reply_are_one_trace).only_sqlite(),
        test!(spans::a_failed_ask_is_an_error_in_the_trace).only_sqlite(),
        test!(spans::an_answer_that_takes_long_is_announced_by_typing).only_sqlite(),
        test!(spans::a_stranger_is_a_pseudonym_in_the_trace_and_its_log_lines).only_sqlite(),
        test!(webhook::only_telegram_is_heard).only_sqlite(),
        test!(webhook::an_update_is_answered_once_and_poison_is_swallowed).only_sqlite(),
        test!(webhook::without_webhook_mode_there_is_no_such_address).only_sqlite(),
        test!(webhook::the_simulated_telegram_delivers_to_the_webhook).only_sqlite(),
        test!(webhook::an_update_whose_handling_was_cut_off_is_handled_when_it_comes_again).only_sqlite(),
        test!(webhook::calls_that_do_not_arrive_show_in_readiness).only_sqlite(),
    ])
}
