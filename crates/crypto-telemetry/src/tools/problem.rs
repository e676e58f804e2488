//! The problems (RFC 9457) our services answer with, as far as a tool tells them.

use serde::{Deserialize, Serialize};

use super::http::Reply;
use super::terminal::{Style, Terminal, printable};

/// A problem's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// HTTP status.
    pub(crate) status: u16,
    /// A word for machines.
    pub(crate) code: String,
    /// A sentence for people.
    pub(crate) detail: String,
    /// Who really failed, when it was somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) upstream: Option<String>,
    /// Trace of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace_id: Option<String>,
}

impl Problem {
    /// From an answer that is no success; one that is no problem either is told as what it is.
    pub(crate) fn read(reply: &Reply, who: &str) -> Self {
        reply.json().unwrap_or_else(|_not_a_problem| Self {
            status: reply.status,
            code: "not_a_problem".to_owned(),
            detail: format!("{who} answered HTTP {}: {}", reply.status, reply.first_line()),
            upstream: None,
            trace_id: None,
        })
    }

    /// For people: the sentence, who failed, the trace.
    pub(crate) fn tell(&self, terminal: Terminal, who: &str) -> String {
        let mut lines = vec![format!(
            "{} {}",
            terminal.paint(Style::Bad, "✘"),
            terminal.paint(Style::Bold, &printable(&self.detail))
        )];
        let failed = match (&self.upstream, self.status) {
            (Some(upstream), _) => Some(format!("{} (told by {who})", printable(upstream))),
            (None, 500..) => Some(who.to_owned()),
            // A 4xx is about the question, nobody failed.
            (None, _) => None,
        };
        if let Some(failed) = failed {
            lines.push(format!("  who failed  {failed}"));
        }
        lines.push(format!("  code        {} (HTTP {})", printable(&self.code), self.status));
        if let Some(trace) = &self.trace_id {
            lines.push(format!("  trace       {}", printable(trace)));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, body: body.as_bytes().to_vec(), took: Duration::ZERO }
    }

    #[test]
    fn tells_who_failed_and_the_trace() {
        let body = r#"{"type":"urn:crypto-telemetry:problem:upstream_timeout","title":"Gateway Timeout","status":504,"detail":"binance did not answer in time.","code":"upstream_timeout","trace_id":"4bf9","upstream":"binance"}"#;
        let told = Problem::read(&reply(504, body), "notifier-service").tell(Terminal::plain(80), "notifier-service");
        assert_eq!(
            told,
            "✘ binance did not answer in time.\n  who failed  binance (told by notifier-service)\n  code        upstream_timeout (HTTP 504)\n  trace       4bf9"
        );
    }

    #[test]
    fn a_bad_question_is_nobodys_failure() {
        let body = r#"{"status":404,"detail":"Served are BTCUSDT.","code":"unknown_symbol"}"#;
        let told = Problem::read(&reply(404, body), "notifier-service").tell(Terminal::plain(80), "notifier-service");
        assert!(!told.contains("who failed"), "{told}");
    }

    #[test]
    fn what_is_no_problem_is_told_as_it_is() {
        let problem = Problem::read(&reply(502, "<html>\u{1b}[2J\nBad gateway"), "notifier-service");
        assert_eq!(problem.detail, "notifier-service answered HTTP 502: <html> [2J");
        assert!(problem.tell(Terminal::plain(80), "notifier-service").contains("who failed  notifier-service"));
    }
}
