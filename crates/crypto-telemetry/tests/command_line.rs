//! What the binary and the scripts say to mistakes, and how one folder is one stack.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

/// EX_USAGE of sysexits.h.
const USAGE: i32 = 64;

fn binary(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crypto-telemetry"));
    command.env_clear().args(arguments).envs(environment.iter().copied());
    said(&command.output().unwrap())
}

fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn a_bad_value_is_a_usage_error_that_names_it() {
    /// Arguments, environment, what is named.
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case<'_>; 11] = [
        (&["decision-service"], &[("LOG_LEVEL", "bogus")], "LOG_LEVEL"),
        (&["decision-service"], &[("DECISION_PORT", "eighty")], "DECISION_PORT"),
        (&["simulator"], &[("PORT", "70000")], "PORT"),
        (&["signal-service"], &[("SIGNAL_ADMIN_KEY", "short")], "SIGNAL_ADMIN_KEY"),
        (&["signal-service"], &[("SIGNAL_SOURCE_ADDRESSES", "tradingview,somewhere")], "somewhere"),
        (&["signal-service"], &[("SIGNAL_RETENTION_DAYS", "0")], "--retention-days"),
        (&["hooks", "list"], &[("SIGNAL_PORT", "0")], "SIGNAL_PORT"),
        (&["hooks", "revoke", "../signals"], &[], "../signals"),
        (&["ask", "BTCUSDT"], &[("NOTIFIER_PORT", "0")], "NOTIFIER_PORT"),
        (&["chaos", "inject", "llm", "drop", "--for", "2h"], &[], "duration"),
        (
            &["chaos", "inject", "binance_rest", "too_many_requests", "--for", "9s", "--retry-after", "1500ms"],
            &[],
            "--retry-after",
        ),
    ];
    for (arguments, environment, named) in cases {
        let (code, said) = binary(arguments, environment);
        assert_eq!(code, Some(USAGE), "{arguments:?}: {said}");
        assert!(said.contains(named), "{arguments:?}: {said}");
    }
}

/// The service's own port variable, which the tools read, holds for a service that is started alone too.
#[test]
fn a_service_listens_where_its_own_variable_says() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, said) = binary(&["decision-service"], &[("DECISION_PORT", &port)]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
}

#[test]
fn a_folder_is_one_stack_however_it_is_spelled() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    std::os::unix::fs::symlink(&folder, folder.join("link")).unwrap();
    let socket = |data: &str| {
        let script = r#"set -eu; . "$0/scripts/stack-env.sh"; printf '%s %s' "$CRYPTO_TELEMETRY_DATA" "$socket""#;
        let output = Command::new("bash")
            .args(["-c", script])
            .arg(&root)
            .env("CRYPTO_TELEMETRY_DATA", data)
            .current_dir(&folder)
            .output()
            .unwrap();
        let (code, said) = said(&output);
        assert_eq!(code, Some(0), "{said}");
        said
    };
    let plain = folder.join("data").display().to_string();
    let first = socket(&plain);
    assert!(first.starts_with(&format!("{plain} ")), "{first}");
    for other in [
        "data",
        "data/",
        "./data//",
        "link/data",
        &format!("{plain}/"),
        &format!("{}/link/link/data", folder.display()),
    ] {
        assert_eq!(socket(other), first, "{other}, before the folder is there");
    }
    std::fs::create_dir(folder.join("data")).unwrap();
    for other in [plain.as_str(), "data/", "link/data/", "data/../data"] {
        assert_eq!(socket(other), first, "{other}");
    }
}
