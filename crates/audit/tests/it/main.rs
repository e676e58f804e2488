//! The audit trail over HTTP, on both engines.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod events;
mod trail;

use std::process::ExitCode;

use storage::test;

fn main() -> ExitCode {
    storage::testing::run(&[
        test!(trail::a_request_is_recorded_with_its_context),
        test!(trail::the_context_is_on_the_span),
        test!(trail::an_event_is_recorded_once),
        test!(trail::many_deliveries_at_once_make_one_row),
        test!(trail::rows_are_never_changed),
        test!(trail::the_trail_is_read_in_pages),
        test!(trail::bad_input_gets_a_sentence),
        test!(trail::a_chain_may_go_on_behind),
        test!(events::an_event_is_recorded_once_with_all_of_it),
        test!(events::events_are_never_changed),
        test!(events::events_are_read_in_pages_and_by_what_they_are_about),
        test!(events::what_cannot_be_kept_gets_a_sentence),
        test!(events::only_names_of_this_machine_are_answered),
    ])
}
