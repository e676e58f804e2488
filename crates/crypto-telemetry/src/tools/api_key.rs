//! `crypto-telemetry api-key`: makes a key for a client of api-gateway.

use std::process::ExitCode;

use gateway::NewKey;

use super::terminal::Terminal;
use crate::serve::BadValue;

/// Make an API key for a client of api-gateway.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Who it is for: 1 to 40 letters, digits, '-', '_' and '.'; limits, idempotency keys and spans go by it
    name: String,

    /// Print one JSON object: name, key and line
    #[arg(long)]
    json: bool,
}

/// Prints a new key, which nobody can show again, and the line that lets it in.
///
/// # Errors
/// When the name is none or standard output cannot be written.
#[expect(clippy::unused_async, reason = "every tool runs this way; others have to wait for something")]
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let new = NewKey::make(&args.name).map_err(|error| BadValue(format!("{:?}: {error}", args.name)))?;
    let terminal = Terminal::stdout();
    if args.json {
        let output = serde_json::json!({ "name": args.name, "key": new.key, "line": new.line });
        terminal.line(&serde_json::to_string_pretty(&output)?)?;
    } else {
        terminal.line(&told(&args.name, &new))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn told(name: &str, new: &NewKey) -> String {
    format!(
        "Key of {name}, shown this once and kept nowhere:\n  {}\nLine for the file that API_KEYS_FILE names, from which the key cannot be told:\n  {}",
        new.key, new.line
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_shown_apart_from_its_line() {
        let new = NewKey::make("alice").unwrap();
        let text = told("alice", &new);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!((lines[1], lines[3]), (new.key.as_str(), new.line.as_str()));
        assert_eq!(text.matches(&new.key).count(), 1);
    }

    #[actix_web::test]
    async fn a_name_that_is_none_is_a_mistake_in_the_command() {
        let error = run(Args { name: "a b".to_owned(), json: false }).await.unwrap_err();
        assert!(error.is::<BadValue>() && error.to_string().contains("a b"), "{error}");
    }
}
