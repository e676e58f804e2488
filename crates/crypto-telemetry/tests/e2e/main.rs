//! The whole stack: the real Collector, Prometheus, Alertmanager, Tempo and Loki, the simulator and the services, started by
//! process-compose from the repository's own file on ports and data of their own.
//!
//! A stack serves many trials, so this has a main function instead of the usual harness. The trials that stop backends run
//! after the others, one by one; the last one stops the stack and looks for what is left.
//!
//! There are two stacks, one after the other: as it comes, with SQLite, and, for trials of the business chain
//! (`postgresql::…`), on PostgreSQL, Kafka and Redis with a service of somebody else in the chain. A stack that no chosen trial is about is
//! not started.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "what was not run is said, plainly")]

mod alerts;
mod ask;
mod backends;
mod browser;
mod chain;
mod doctor;
#[path = "../../../user/tests/it/fraud_check.rs"]
mod fraud_check;
mod fuzz;
mod outage;
mod pipelines;
mod signals;
mod stack;
mod telegram;
mod trading;
mod wait;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use storage::testing::{Cluster, MISSING};

use stack::Stack;

type Check = fn(&Stack);

const FUZZ: &str = "random_requests_cause_no_server_error";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let beside: [(&str, Check); 24] = [
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
        ("every_rule_evaluates", signals::rules),
        ("the_documented_requests_go_through_the_chain", chain::documented_requests),
        ("traceql_of_the_requirement_works", chain::traceql),
        ("a_repetition_has_no_second_effect", chain::repetition),
        ("bad_requests_get_a_sentence_and_a_trace", chain::bad_requests),
        ("native_metrics_are_the_collected_ones", signals::native_is_the_same),
        ("an_alert_becomes_an_order_and_a_message_in_one_trace", trading::alert_to_order_and_message),
        ("an_alert_that_comes_again_is_one_order", trading::retried_alert),
        ("the_metrics_of_requirement_2_are_there", trading::metrics),
        ("what_the_dashboards_ask_prometheus_has", trading::dashboards_have_data),
        ("a_signal_becomes_an_order_and_a_message_in_one_trace", pipelines::signal_to_order_and_message),
        ("an_alert_sets_off_pipelines_too", pipelines::alert_sets_off_pipelines),
        ("crossings_of_the_recorded_prices_become_paper_orders", pipelines::crossings_become_orders),
        ("the_metrics_of_pipelines_are_there", pipelines::metrics),
    ];
    let alone: [(&str, Check); 19] = [
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
        ("an_alert_reaches_its_receiver_and_resolves", alerts::price_stale),
        ("an_alert_reduces_trading_at_once", alerts::alert_reduces_trading),
        ("killed_services_send_no_order_twice_and_lose_none", trading::killed_services),
        ("messages_outlive_an_outage_of_telegram", trading::telegram_away),
        ("each_alert_of_trading_reaches_its_receiver", trading::alerts_reach_their_receivers),
        ("killed_signals_and_pipelines_lose_and_double_nothing", pipelines::killed_processes),
        // The last one: the bot has much to say afterwards.
        ("ten_thousand_webhooks_are_each_one_outcome", trading::ten_thousand_webhooks),
    ];
    let pages: [(&str, Check); 3] = [
        ("an_order_on_the_page_in_a_browser", browser::chain_on_the_page),
        ("the_page_in_a_browser_at_desk_width", browser::page_on_a_desk),
        ("the_page_in_a_browser_at_phone_width", browser::page_on_a_phone),
    ];
    // By itself, because the other trials write into the same chat.
    let chat: [(&str, Check); 2] =
        [("the_chat_in_a_browser", browser::chat), ("texts_are_no_code_in_a_browser", browser::texts_are_no_code)];
    let fuzz: [(&str, Check); 1] = [(FUZZ, fuzz::no_server_errors)];
    let on_postgres: [(&str, Check); 11] = [
        ("postgresql::the_documented_requests_go_through_the_chain", chain::documented_requests),
        ("postgresql::a_service_of_somebody_else_stands_in_the_chain", chain::another_service),
        ("postgresql::a_repetition_has_no_second_effect", chain::repetition),
        ("postgresql::an_alert_becomes_an_order_and_a_message_in_one_trace", trading::alert_to_order_and_message),
        ("postgresql::a_signal_becomes_an_order_and_a_message_in_one_trace", pipelines::signal_to_order_and_message),
        ("postgresql::the_metrics_of_pipelines_are_there", pipelines::metrics),
        ("postgresql::random_requests_cause_no_server_error", fuzz::no_server_errors_of_the_chain),
        ("postgresql::an_order_stands_while_audit_is_away", chain::audit_away),
        ("postgresql::killed_services_lose_and_double_nothing", chain::chain_killed),
        ("postgresql::killed_services_send_no_order_twice_and_lose_none", trading::killed_services),
        ("postgresql::killed_signals_and_pipelines_lose_and_double_nothing", pipelines::killed_processes),
    ];
    let names = |checks: &[(&'static str, Check)]| checks.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let on_sqlite: Vec<&str> =
        [&beside[..], &pages, &chat, &fuzz, &alone].into_iter().flat_map(|checks| names(checks)).collect();
    if arguments.list {
        let all = on_sqlite.into_iter().chain(names(&on_postgres));
        return libtest_mimic::run(&arguments, all.map(|name| Trial::test(name, || Ok(()))).collect()).exit_code();
    }
    // Nothing is skipped in CI: there a missing browser, Schemathesis or PostgreSQL fails these trials.
    let may_skip = std::env::var_os("CI").is_none();
    let skip_fuzz = !fuzz::available() && may_skip;
    let skip_pages = !browser::available() && may_skip;
    let is_skipped = |name: &str| {
        (skip_fuzz && name.ends_with(FUZZ))
            || (skip_pages && [&pages[..], &chat].iter().any(|checks| names(checks).contains(&name)))
    };
    let mut failed = false;
    if on_sqlite.iter().any(|name| is_chosen(&arguments, name)) {
        let together = [&beside[..], &pages].concat();
        let in_turn = [&chat[..], &fuzz, &alone].concat();
        failed |= play(&arguments, Stack::start(), "", &together, &in_turn, is_skipped);
    }
    if on_postgres.iter().any(|(name, _)| is_chosen(&arguments, name)) {
        if Cluster::is_possible() {
            let (together, in_turn) = on_postgres.split_at(6);
            failed |= play(&arguments, Stack::start_on_postgres(), "postgresql::", together, in_turn, is_skipped);
        } else {
            let missing = |(name, _): (&str, Check)| Trial::test(name, || Err(MISSING.into()));
            let trials = on_postgres.into_iter().map(missing).map(|trial| trial.with_ignored_flag(may_skip)).collect();
            failed |= libtest_mimic::run(&arguments, trials).has_failed();
            if may_skip {
                eprintln!("NOT RUN on PostgreSQL: {MISSING}");
            }
        }
    }
    if skip_pages {
        eprintln!("NOT RUN: the pages in a browser, because there is no chromedriver on PATH");
    }
    if skip_fuzz {
        eprintln!("NOT RUN: requests at random, because there is no schemathesis on PATH (pip install schemathesis)");
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Whether the arguments ask for a trial, as libtest-mimic decides it.
fn is_chosen(arguments: &Arguments, name: &str) -> bool {
    let is_meant = |words: &String| if arguments.exact { name == words } else { name.contains(words.as_str()) };
    arguments.filter.as_ref().is_none_or(is_meant) && !arguments.skip.iter().any(is_meant)
}

/// Plays trials on a stack, then stops it and looks for what is left; whether anything failed.
fn play(
    arguments: &Arguments,
    stack: Stack,
    prefix: &str,
    together: &[(&'static str, Check)],
    in_turn: &[(&'static str, Check)],
    is_skipped: impl Fn(&str) -> bool,
) -> bool {
    let stack = Arc::new(stack);
    let trials = |checks: &[(&'static str, Check)]| {
        let trial = |&(name, check): &(&'static str, Check)| {
            let stack = stack.clone();
            let trial = Trial::test(name, move || {
                check(&stack);
                Ok(())
            });
            trial.with_ignored_flag(is_skipped(name))
        };
        checks.iter().map(trial).collect::<Vec<_>>()
    };
    let first = libtest_mimic::run(arguments, trials(together));
    let one_by_one = Arguments { test_threads: Some(1), ..arguments.clone() };
    let second = libtest_mimic::run(&one_by_one, trials(in_turn));
    let failed = first.has_failed() || second.has_failed();
    let end = {
        let stack = stack.clone();
        Trial::test(format!("{prefix}after_ctrl_c_nothing_is_left"), move || {
            stack.stop_and_look(failed);
            Ok(())
        })
    };
    let unfiltered = Arguments { filter: None, skip: Vec::new(), exact: false, ..one_by_one };
    let third = libtest_mimic::run(&unfiltered, vec![end]);
    failed || third.has_failed()
}
