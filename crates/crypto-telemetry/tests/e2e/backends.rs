//! Asking Tempo, Loki and Prometheus over their own HTTP APIs.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use crate::stack::Stack;
use crate::wait::until;

#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) attributes: HashMap<String, String>,
    /// Names of its events.
    pub(crate) events: BTreeSet<String>,
}

impl Stack {
    pub(crate) fn json(&self, url: &str, query: &[(&str, &str)]) -> Option<Value> {
        let response = self.http.get(url).query(query).send().ok()?;
        response.status().is_success().then(|| response.json().unwrap())
    }

    /// `POST /v1/ask`: status and body.
    pub(crate) fn ask(&self, body: &Value) -> (u16, Value) {
        let response = self.http.post(self.url("NOTIFIER_PORT", "/v1/ask")).json(body).send().unwrap();
        (response.status().as_u16(), response.json().unwrap())
    }

    /// An ask that works, and its trace id.
    pub(crate) fn ask_btc(&self) -> (Value, String) {
        let (status, body) = self.ask(&json!({"symbols": ["BTCUSDT"]}));
        assert_eq!(status, 200, "{body}");
        let trace_id = body["trace_id"].as_str().unwrap().to_owned();
        (body, trace_id)
    }

    /// The spans of a trace, once `enough` says that all are there.
    pub(crate) fn trace(&self, trace_id: &str, enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let url = self.url("TEMPO_PORT", &format!("/api/traces/{trace_id}"));
        let mut last = Vec::new();
        until(&format!("trace {trace_id} is complete in Tempo"), || {
            last = spans(&self.json(&url, &[])?);
            enough(&last).then(|| last.clone())
        })
    }

    /// Services with a log line of this trace in Loki.
    pub(crate) fn services_logging(&self, trace_id: &str) -> BTreeSet<String> {
        let query = format!(r#"{{service_name=~".+"}} | trace_id="{trace_id}""#);
        let url = self.url("LOKI_PORT", "/loki/api/v1/query_range");
        let Some(answer) = self.json(&url, &[("query", &query), ("since", "10m"), ("limit", "500")]) else {
            return BTreeSet::new();
        };
        let streams = answer["data"]["result"].as_array().unwrap();
        streams.iter().map(|stream| stream["stream"]["service_name"].as_str().unwrap().to_owned()).collect()
    }

    /// The result vector of an instant query.
    pub(crate) fn promql(&self, query: &str) -> Vec<Value> {
        let answer = self.json(&self.url("PROMETHEUS_PORT", "/api/v1/query"), &[("query", query)]);
        answer.map_or_else(Vec::new, |answer| answer["data"]["result"].as_array().unwrap().clone())
    }
}

fn spans(trace: &Value) -> Vec<Span> {
    let mut found = Vec::new();
    for batch in trace["batches"].as_array().unwrap() {
        let service = attributes(&batch["resource"]["attributes"])["service.name"].clone();
        for span in batch["scopeSpans"].as_array().unwrap().iter().flat_map(|scope| scope["spans"].as_array().unwrap())
        {
            found.push(Span {
                id: span["spanId"].as_str().unwrap().to_owned(),
                parent: span["parentSpanId"].as_str().unwrap_or_default().to_owned(),
                service: service.clone(),
                name: span["name"].as_str().unwrap().to_owned(),
                kind: span["kind"].as_str().unwrap_or_default().trim_start_matches("SPAN_KIND_").to_owned(),
                attributes: attributes(&span["attributes"]),
                events: span["events"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|event| event["name"].as_str().unwrap().to_owned())
                    .collect(),
            });
        }
    }
    found
}

fn attributes(list: &Value) -> HashMap<String, String> {
    let entries = list.as_array().cloned().unwrap_or_default();
    entries
        .into_iter()
        .map(|entry| {
            let value = entry["value"].as_object().and_then(|value| value.values().next().cloned()).unwrap_or_default();
            (entry["key"].as_str().unwrap().to_owned(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        })
        .collect()
}
