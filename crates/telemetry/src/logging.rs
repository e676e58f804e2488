//! Log lines on standard output: with trace_id and span_id, pretty on a terminal, JSON otherwise.

use std::fmt;
use std::io::IsTerminal as _;

use chrono::{SecondsFormat, Utc};
use opentelemetry::trace::TraceContextExt as _;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::LogFormat;

/// Formats events; fields of enclosing spans are left to the trace.
pub(crate) struct LogLine {
    json: bool,
    colour: bool,
    service: String,
}

impl LogLine {
    pub(crate) fn new(format: LogFormat, service: &str) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let json = match format {
            LogFormat::Auto => !terminal,
            LogFormat::Pretty => false,
            LogFormat::Json => true,
        };
        let colour = terminal && std::env::var_os("NO_COLOR").is_none();
        Self { json, colour, service: service.to_owned() }
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        } else {
            self.others.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::String(value.to_owned()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::from(value));
    }
}

impl<S, N> FormatEvent<S, N> for LogLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let context = opentelemetry::Context::current();
        let span = context.span();
        let ids = span
            .span_context()
            .is_valid()
            .then(|| (span.span_context().trace_id().to_string(), span.span_context().span_id().to_string()));
        let level = *event.metadata().level();
        if self.json {
            let mut line = Map::new();
            line.insert("timestamp".into(), Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true).into());
            line.insert("level".into(), level.as_str().into());
            line.insert("service".into(), self.service.as_str().into());
            line.insert("target".into(), event.metadata().target().into());
            line.insert("message".into(), fields.message.into());
            if let Some((trace_id, span_id)) = ids {
                line.insert("trace_id".into(), trace_id.into());
                line.insert("span_id".into(), span_id.into());
            }
            for (name, value) in fields.others {
                line.entry(name).or_insert(value);
            }
            return writeln!(writer, "{}", Value::Object(line));
        }
        let (paint, dim, plain) = if self.colour { (colour(level), "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
        write!(
            writer,
            "{dim}{}{plain} {paint}{:<5}{plain} {dim}{}{plain} {}",
            Utc::now().format("%H:%M:%S%.3f"),
            level.as_str(),
            self.service,
            fields.message
        )?;
        for (name, value) in &fields.others {
            match value {
                Value::String(text) => write!(writer, " {dim}{name}={plain}{text}")?,
                other => write!(writer, " {dim}{name}={plain}{other}")?,
            }
        }
        if let Some((trace_id, span_id)) = ids {
            write!(writer, " {dim}trace_id={trace_id} span_id={span_id}{plain}")?;
        }
        writeln!(writer)
    }
}

const fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}
