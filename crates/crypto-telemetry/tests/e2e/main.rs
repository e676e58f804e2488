//! The whole stack: the real Collector, Prometheus, Tempo and Loki, the simulator and the services, started by
//! process-compose from the repository's own file on ports and data of their own.
//!
//! One stack serves all trials, so this has a main function instead of the usual harness. The trials that stop
//! backends run after the others, one by one; the last one stops the stack and looks for what is left.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "what was not run is said, plainly")]

mod ask;
mod backends;
mod browser;
mod chain;
mod doctor;
mod fuzz;
mod outage;
mod signals;
mod stack;
mod telegram;
mod wait;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use stack::Stack;

type Check = fn(&Stack);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let beside: [(&str, Check); 15] = [
        ("an_ask_is_one_trace_over_three_services", ask::one_trace),
        ("several_symbols_are_one_trace", ask::several_symbols),
        ("the_command_prints_the_answer_and_the_tree", ask::command_line),
        ("bad_asks_get_a_sentence_and_a_trace", ask::bad_asks),
        ("a_pressed_button_is_answered_in_one_trace", telegram::button),
        ("each_service_has_its_log_lines_in_loki", signals::logs),
        ("each_service_has_its_metrics_in_prometheus", signals::metrics),
        ("span_metrics_have_exemplars", signals::exemplars),
        ("traces_are_found_by_service_name", signals::traceql),
        ("every_target_is_up", signals::targets),
        ("the_documented_requests_go_through_the_chain", chain::documented_requests),
        ("traceql_of_the_requirement_works", chain::traceql),
        ("a_repetition_has_no_second_effect", chain::repetition),
        ("bad_requests_get_a_sentence_and_a_trace", chain::bad_requests),
        ("native_metrics_are_the_collected_ones", signals::native_is_the_same),
    ];
    let alone: [(&str, Check); 12] = [
        ("doctor_says_all_is_well", doctor::all_well),
        ("doctor_names_tempo", doctor::tempo_stopped),
        ("doctor_names_loki", doctor::loki_stopped),
        ("doctor_names_prometheus", doctor::prometheus_stopped),
        ("doctor_names_the_collector", doctor::collector_stopped),
        ("asks_go_on_while_the_collector_is_away", outage::collector_away),
        ("asks_are_answered_again_after_a_killed_service", outage::market_data_killed),
        ("killed_backends_come_back_with_what_they_had", outage::backends_killed),
        ("an_order_stands_while_audit_is_away", chain::audit_away),
        ("a_link_that_is_away_is_named", chain::link_away),
        ("killed_services_lose_and_double_nothing", chain::chain_killed),
        ("a_failing_exchange_is_named_and_never_guessed", outage::exchange_failing),
    ];
    let pages: [(&str, Check); 3] = [
        ("an_order_on_the_page_in_a_browser", browser::chain_on_the_page),
        ("the_page_in_a_browser_at_desk_width", browser::page_on_a_desk),
        ("the_page_in_a_browser_at_phone_width", browser::page_on_a_phone),
    ];
    // By itself, because the other trials write into the same chat.
    let chat: [(&str, Check); 2] =
        [("the_chat_in_a_browser", browser::chat), ("texts_are_no_code_in_a_browser", browser::texts_are_no_code)];
    let fuzz: [(&str, Check); 1] = [("random_requests_cause_no_server_error", fuzz::no_server_errors)];
    // Nothing is skipped in CI: there a missing browser, or a missing Schemathesis, fails these trials.
    let skip_fuzz = !fuzz::available() && std::env::var_os("CI").is_none();
    let skip_pages = !browser::available() && std::env::var_os("CI").is_none();
    if arguments.list {
        let nothing = |(name, _): (&str, Check)| Trial::test(name, || Ok(()));
        return libtest_mimic::run(
            &arguments,
            beside.into_iter().chain(pages).chain(chat).chain(fuzz).chain(alone).map(nothing).collect(),
        )
        .exit_code();
    }
    let stack = Arc::new(Stack::start());
    let trials = |checks: &[(&'static str, Check)]| {
        checks
            .iter()
            .map(|&(name, check)| {
                let stack = stack.clone();
                Trial::test(name, move || {
                    check(&stack);
                    Ok(())
                })
            })
            .collect::<Vec<_>>()
    };
    let mut together: Vec<Trial> = trials(&beside);
    together.extend(trials(&pages).into_iter().map(|trial| trial.with_ignored_flag(skip_pages)));
    let first = libtest_mimic::run(&arguments, together);
    if skip_pages {
        eprintln!("NOT RUN: the pages in a browser, because there is no chromedriver on PATH");
    }
    let one_by_one = Arguments { test_threads: Some(1), ..arguments.clone() };
    let mut in_turn: Vec<Trial> = trials(&chat).into_iter().map(|trial| trial.with_ignored_flag(skip_pages)).collect();
    in_turn.extend(trials(&fuzz).into_iter().map(|trial| trial.with_ignored_flag(skip_fuzz)));
    if skip_fuzz {
        eprintln!("NOT RUN: requests at random, because there is no schemathesis on PATH (pip install schemathesis)");
    }
    in_turn.extend(trials(&alone));
    let second = libtest_mimic::run(&one_by_one, in_turn);
    let failed = first.has_failed() || second.has_failed();
    let end = vec![Trial::test("after_ctrl_c_nothing_is_left", {
        let stack = stack.clone();
        move || {
            stack.stop_and_look(failed);
            Ok(())
        }
    })];
    let unfiltered = Arguments { filter: None, skip: Vec::new(), exact: false, ..one_by_one };
    let third = libtest_mimic::run(&unfiltered, end);
    if failed || third.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
