//! What users see while something is away.

use serde_json::json;

use crate::stack::Stack;
use crate::wait::until;

pub(crate) fn collector_away(stack: &Stack) {
    stack.stop("otelcol");
    for _ in 0..50 {
        stack.ask_btc();
    }
    stack.start_again("otelcol");
    // Telemetry is back by itself.
    until("a new ask's trace arrives again", || {
        let (_, trace_id) = stack.ask_btc();
        let url = stack.url("TEMPO_PORT", &format!("/api/traces/{trace_id}"));
        (0..20).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            stack.json(&url, &[]).map(|_| ())
        })
    });
}

/// Killed while it is asked, it comes back by itself, and so do the answers, with nobody restarting anything else.
pub(crate) fn market_data_killed(stack: &Stack) {
    for round in 0..2 {
        stack.kill("market-data-service");
        let refused = until("asks are refused", || {
            let (status, body) = stack.ask(&json!({"symbols": ["BTCUSDT"]}));
            (status != 200).then_some((status, body))
        });
        assert!(matches!(refused.0, 502..=504), "round {round}: {refused:?}");
        assert_eq!(refused.1["upstream"], "market-data-service", "round {round}: {refused:?}");
        // Asked all the time, as by users who try again: enough to open the circuit.
        until("asks are answered again", || (stack.ask(&json!({"symbols": ["BTCUSDT"]})).0 == 200).then_some(()));
        until("the notifier says so too", || stack.is_ok(&stack.url("NOTIFIER_PORT", "/health/ready")).then_some(()));
    }
}

/// Every backend crashes; all come back by themselves, on the data they had.
pub(crate) fn backends_killed(stack: &Stack) {
    let (_, before) = stack.ask_btc();
    let trace = stack.url("TEMPO_PORT", &format!("/api/traces/{before}"));
    until("the trace is there", || stack.json(&trace, &[]));
    // Tempo answers from memory first: what is not in its write-ahead log yet goes with it (docs/OPERATIONS.md).
    let metrics = stack.url("TEMPO_PORT", "/metrics");
    until("the trace is in Tempo's write-ahead log", || {
        let text = stack.http.get(&metrics).send().ok()?.text().ok()?;
        text.lines().any(|line| line.starts_with("tempo_ingester_live_traces{") && line.ends_with(" 0")).then_some(())
    });
    for backend in ["otelcol", "tempo", "loki", "prometheus", "alertmanager"] {
        stack.kill(backend);
        stack.ask_btc();
    }
    for backend in ["otelcol", "tempo", "loki", "prometheus", "alertmanager"] {
        stack.wait_ready(backend);
    }
    let said = until("doctor says all is well", || {
        let (well, said) = stack.run(&["doctor"]);
        well.then_some(said)
    });
    assert!(said.contains("All is well"), "{said}");
    until("the trace from before is still there", || stack.json(&trace, &[]));
}

pub(crate) fn exchange_failing(stack: &Stack) {
    let faults = stack.url("SIMULATOR_PORT", "/control/faults");
    for (target, kind) in [("binance_rest", "server_error"), ("binance_ws", "drop")] {
        let fault = json!({"target": target, "kind": kind, "duration_ms": 120_000});
        assert!(stack.http.post(&faults).json(&fault).send().unwrap().status().is_success());
    }
    let problem = until("the price becomes too old to use", || {
        let (status, body) = stack.ask(&json!({"symbols": ["BTCUSDT"]}));
        (status != 200).then_some((status, body))
    });
    assert!(matches!(problem.0, 502..=504), "{problem:?}");
    assert_eq!(problem.1["upstream"], "binance", "{problem:?}");
    assert!(stack.http.delete(&faults).send().unwrap().status().is_success());
    until("asks are answered again", || (stack.ask(&json!({"symbols": ["BTCUSDT"]})).0 == 200).then_some(()));
}
