//! Requests made at random from each service's own description, by Schemathesis: whatever comes in, nothing breaks.

use std::process::{Command, Stdio};

use crate::stack::Stack;
use crate::wait::until;

/// Whether Schemathesis is there.
pub(crate) fn available() -> bool {
    Command::new("schemathesis").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// The services of the business chain.
const CHAIN: [&str; 4] = ["GATEWAY_PORT", "USER_PORT", "ORDER_PORT", "AUDIT_PORT"];

pub(crate) fn no_server_errors(stack: &Stack) {
    no_server_errors_of_the_chain(stack);
    at(stack, &["MARKET_DATA_PORT", "DECISION_PORT", "NOTIFIER_PORT", "SIGNAL_PORT", "PIPELINE_PORT", "WORKER_PORT"]);
}

pub(crate) fn no_server_errors_of_the_chain(stack: &Stack) {
    // The gateway describes what the services behind it describe, and asks them for it every now and then.
    until("the gateway's description is whole", || {
        let description = stack.json(&stack.url("GATEWAY_PORT", "/openapi.json"), &[])?;
        ["users", "orders", "audit", "ask", "prices/{symbol}", "decisions"]
            .iter()
            .all(|path| description["paths"].get(format!("/api/v1/{path}")).is_some())
            .then_some(())
    });
    at(stack, &CHAIN);
}

fn at(stack: &Stack, ports: &[&str]) {
    for port in ports {
        let output = Command::new("schemathesis")
            .args(["run", &stack.url(port, "/openapi.json"), "--url", &stack.url(port, "")])
            .args(["--checks", "not_a_server_error", "--phases", "examples,coverage,fuzzing"])
            // One worker: with two, its own Python code has been seen to fail (a race in ast.parse of Python 3.11).
            .args(["--max-examples", "25", "--workers", "1", "--request-timeout", "10", "--no-color"])
            // A stream of events does not end.
            .args(["--exclude-path-regex", "/stream$"])
            // The same requests in every run; what it finds is told with the request that made it.
            .args(["--seed", "1", "--suppress-health-check", "all"])
            .current_dir(stack.data())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{port}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("passed"), "{port}: no request was made:\n{said}");
    }
}
