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
