//! Log lines as Loki's `query_range` gives them.
//!
//! `{"status":"success","data":{"resultType":"streams","result":[{"stream":{label: value},"values":[["<ns>","<line>"]]}]}}`;
//! structured metadata (trace id, span id, severity, attributes) comes among the stream's labels.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde::Deserialize;

use crate::view::{LogLine, LogsView};

/// Labels that say nothing to the reader of one trace's lines, or that stand elsewhere in the line.
const LEFT_OUT: [&str; 14] = [
    "trace_id",
    "span_id",
    "service_name",
    "severity_text",
    "severity_number",
    "detected_level",
    "level",
    "flags",
    "observed_timestamp",
    "scope_name",
    "service_instance_id",
    "service_version",
    "deployment_environment",
    "deployment_environment_name",
];

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    result_type: String,
    result: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    stream: BTreeMap<String, String>,
    values: Vec<(String, String)>,
}

/// Reads the answer to a query that was bounded to `limit` lines.
pub(crate) fn read(trace_id: &str, body: &[u8], limit: usize) -> Result<LogsView, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if answer.data.result_type != "streams" {
        return Err(format!("a result of type {} instead of streams", answer.data.result_type));
    }
    let mut lines = Vec::new();
    for stream in answer.data.result {
        for (nanos, message) in stream.values {
            let nanos: i64 = nanos.parse().map_err(|_not_a_number| "a line without a time".to_owned())?;
            lines.push((nanos, line(&stream.stream, nanos, message)));
        }
    }
    lines.sort_by_key(|(nanos, _)| *nanos);
    let truncated = lines.len() >= limit;
    Ok(LogsView { trace_id: trace_id.to_owned(), lines: lines.into_iter().map(|(_, line)| line).collect(), truncated })
}

fn line(labels: &BTreeMap<String, String>, nanos: i64, message: String) -> LogLine {
    let label =
        |names: &[&str]| names.iter().find_map(|name| labels.get(*name)).filter(|value| !value.is_empty()).cloned();
    LogLine {
        at: DateTime::from_timestamp_nanos(nanos),
        service: label(&["service_name"]).unwrap_or_else(|| "unknown".to_owned()),
        level: label(&["severity_text", "detected_level", "level"])
            .unwrap_or_else(|| "info".to_owned())
            .to_ascii_uppercase(),
        message,
        span_id: label(&["span_id"]),
        attributes: labels
            .iter()
            .filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"status":"success","data":{"resultType":"streams","result":[
        {"stream":{"service_name":"decision-service","severity_text":"INFO","detected_level":"info","trace_id":"t","span_id":"00f067aa0ba902b7","crypto_symbol":"BTCUSDT"},
         "values":[["1700000000000003000","decided"],["1700000000000001000","asked"]]},
        {"stream":{"service_name":"notifier-service","severity_text":"WARN"},"values":[["1700000000000002000","slow"]]}],"stats":{}}}"#;

    #[test]
    fn lines_of_all_services_by_time() {
        let view = read("t", ANSWER.as_bytes(), 500).unwrap();
        let lines: Vec<_> =
            view.lines.iter().map(|line| (line.service.as_str(), line.level.as_str(), line.message.as_str())).collect();
        assert_eq!(
            lines,
            [
                ("decision-service", "INFO", "asked"),
                ("notifier-service", "WARN", "slow"),
                ("decision-service", "INFO", "decided")
            ]
        );
        assert_eq!(view.lines[0].span_id.as_deref(), Some("00f067aa0ba902b7"));
        assert_eq!(view.lines[0].attributes, BTreeMap::from([("crypto_symbol".to_owned(), "BTCUSDT".to_owned())]));
        assert!(!view.truncated);
        assert!(read("t", ANSWER.as_bytes(), 3).unwrap().truncated);
    }

    #[test]
    fn nothing_and_nonsense() {
        let empty = br#"{"status":"success","data":{"resultType":"streams","result":[]}}"#;
        assert!(read("t", empty, 500).unwrap().lines.is_empty());
        assert!(read("t", br#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#, 500).is_err());
        assert!(read("t", b"too many outstanding requests", 500).is_err());
    }
}
