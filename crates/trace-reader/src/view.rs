//! The compact shapes that are served.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// One trace, its spans in the order of a tree: a parent before its children, children by their start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TraceView {
    /// 32 hex digits.
    #[schema(example = "4bf92f3577b34da6a3ce929d0e0e4736")]
    pub trace_id: String,
    /// When its first span started.
    pub started_at: DateTime<Utc>,
    /// From the start of the first span to the end of the last, in microseconds.
    pub duration_us: u64,
    /// Services in the order in which they first appear.
    pub services: Vec<String>,
    /// Spans whose status is an error.
    pub error_count: usize,
    /// Spans whose parent is not here: still on its way, or in a system that does not report to this one.
    pub orphan_count: usize,
    /// Spans that were left out because the trace is too large to show.
    pub omitted_count: usize,
    /// The spans.
    pub spans: Vec<SpanView>,
}

/// One span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SpanView {
    /// 16 hex digits.
    #[schema(example = "00f067aa0ba902b7")]
    pub id: String,
    /// The parent's id; absent for a root. The parent may be missing from the trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// How many ancestors of it are in the trace.
    pub depth: usize,
    /// `service.name` of the process that made it.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its role.
    pub kind: SpanKind,
    /// Start, in microseconds after the trace's.
    pub start_us: u64,
    /// Duration in microseconds.
    pub duration_us: u64,
    /// How it ended.
    pub status: SpanStatus,
    /// What the error was, where the span says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    /// Attributes by name; texts, numbers, booleans, lists.
    #[schema(value_type = Object)]
    pub attributes: BTreeMap<String, serde_json::Value>,
    /// What happened within it, in order of time.
    pub events: Vec<EventView>,
}

/// Something that happened within a span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EventView {
    /// Its name.
    pub name: String,
    /// When, in microseconds after the trace's start.
    pub at_us: u64,
    /// Attributes by name.
    #[schema(value_type = Object)]
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// Role of a span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// Not said.
    #[default]
    Unspecified,
    /// Within a process.
    Internal,
    /// Serves a request.
    Server,
    /// Makes a request.
    Client,
    /// Puts a message on a queue.
    Producer,
    /// Takes a message from a queue.
    Consumer,
}

/// How a span ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpanStatus {
    /// Nothing was said: it went well.
    #[default]
    Unset,
    /// Said to have gone well.
    Ok,
    /// Failed.
    Error,
}

/// Log lines of one trace, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LogsView {
    /// 32 hex digits.
    pub trace_id: String,
    /// The lines.
    pub lines: Vec<LogLine>,
    /// Whether there are more lines than are shown.
    pub truncated: bool,
}

/// One log line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LogLine {
    /// When it was written.
    pub at: DateTime<Utc>,
    /// `service.name` of who wrote it.
    pub service: String,
    /// `TRACE`, `DEBUG`, `INFO`, `WARN`, `ERROR`, or whatever the writer said.
    pub level: String,
    /// The message.
    pub message: String,
    /// The span it was written in, 16 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// Everything else that the line carries.
    pub attributes: BTreeMap<String, String>,
}
