//! The same promises on every engine of the bus.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod any_order;
mod deaths;
mod foreign;
mod outages;
mod reading;
mod retention;
mod secured;
mod sharing;
mod spans;
mod support;

use std::process::ExitCode;

use bus::test;

fn main() -> ExitCode {
    bus::testing::run(&[
        test!(reading::messages_of_a_key_keep_their_order),
        test!(reading::a_message_arrives_as_it_was_published),
        test!(reading::what_is_no_json_is_delivered_as_it_is),
        test!(reading::a_topic_that_is_new_is_empty_and_an_empty_wait_ends),
        test!(reading::two_publishers_at_once_lose_nothing),
        test!(reading::a_message_that_is_too_large_is_refused),
        test!(reading::a_batch_of_large_messages_is_short),
        test!(reading::a_batch_of_large_keys_is_short),
        test!(reading::names_that_cannot_be_are_refused),
        test!(reading::a_part_of_what_was_read_can_be_committed),
        test!(reading::an_older_commit_takes_nothing_back),
        test!(reading::rewinding_brings_what_is_not_committed_again),
        test!(reading::groups_know_nothing_of_each_other),
        test!(reading::lag_and_offset_are_right),
        test!(deaths::what_a_dead_consumer_had_not_committed_comes_again),
        test!(deaths::a_closed_consumer_gives_its_partitions_back_at_once),
        test!(deaths::a_consumer_that_was_taken_for_dead_is_fenced),
        test!(deaths::a_consumer_that_sleeps_too_long_is_fenced).only_log(),
        test!(sharing::two_consumers_share_and_nothing_comes_twice),
        test!(sharing::more_consumers_than_partitions_leave_none_without_a_reader),
        test!(sharing::a_topic_keeps_the_partitions_that_it_was_made_with),
        test!(any_order::whatever_happens_everything_is_done_and_in_its_order),
        test!(foreign::what_others_publish_is_delivered_as_bytes).only_kafka(),
        test!(outages::a_bus_that_goes_away_comes_back).only_servers(),
        test!(outages::what_is_under_way_when_it_is_killed_comes_through).only_servers(),
        test!(outages::a_bus_that_was_never_there_is_told_in_time).only_servers(),
        test!(retention::what_is_too_much_is_deleted_and_missed).only_log(),
        test!(retention::what_is_too_old_is_deleted).only_log(),
        test!(retention::a_clock_that_is_ahead_deletes_nothing_unread).only_log(),
        test!(retention::a_clock_that_is_behind_publishes_for_others).only_log(),
        test!(retention::a_group_that_never_comes_back_keeps_nothing_for_ever).only_log(),
        test!(retention::what_is_deleted_before_it_is_read_is_missed),
        test!(secured::who_has_the_password_is_let_in).only_kafka(),
        test!(spans::trace_and_baggage_arrive),
        test!(spans::publishing_is_a_producer_span),
        test!(spans::publishing_and_reading_are_measured),
    ])
}
