//! A trace as a tree with times.

use trace_reader::{SpanStatus, SpanView, TraceView};

use crate::tools::terminal::{Style, Terminal, micros, printable, shortened};

/// Columns of the duration.
const DURATION: usize = 8;
/// Columns of the bar: at least, at most.
const BAR: (usize, usize) = (10, 48);

/// The tree: a line a span, with its service, name, duration and a bar that shows when within the trace it ran.
pub(super) fn draw(view: &TraceView, terminal: Terminal) -> String {
    let labels = labels(view);
    let longest = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    // Label, two spaces, mark, space, duration, two spaces, bar.
    let fixed = DURATION + 6;
    let room = terminal.width().saturating_sub(fixed);
    let label_width = longest.min(room.saturating_sub(BAR.0));
    let bar_width = room.saturating_sub(label_width).clamp(BAR.0, BAR.1);

    let mut lines = vec![head(view, terminal)];
    for (span, label) in view.spans.iter().zip(&labels) {
        let failed = span.status == SpanStatus::Error;
        let label = format!("{:<label_width$}", shortened(label, label_width));
        let duration = format!("{:>DURATION$}", micros(span.duration_us));
        let bar = bar(span, view.duration_us, bar_width);
        let (mark, style) = if failed { ("✘", Style::Bad) } else { (" ", Style::Good) };
        let label = if failed { terminal.paint(Style::Bad, &label) } else { label };
        let line = format!(
            "{label}  {} {duration}  {}",
            terminal.paint(Style::Bad, mark),
            terminal.paint(style, bar.trim_end())
        );
        lines.push(line);
    }
    lines.extend(errors(view, terminal));
    lines.join("\n")
}

fn head(view: &TraceView, terminal: Terminal) -> String {
    let count = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    let mut parts = vec![
        count(view.services.len(), "service", "services"),
        count(view.spans.len(), "span", "spans"),
        micros(view.duration_us),
    ];
    if view.error_count > 0 {
        parts.push(terminal.paint(Style::Bad, &count(view.error_count, "error", "errors")));
    }
    if view.omitted_count > 0 {
        parts.push(format!("{} not shown", count(view.omitted_count, "more span", "more spans")));
    }
    parts.join(" · ")
}

/// Branches, service and name of every span. The spans come in the order of the tree, with their depths.
fn labels(view: &TraceView) -> Vec<String> {
    // From the end to the beginning: whether a later span is a sibling decides between ├─ and └─.
    let mut open: Vec<bool> = Vec::new();
    let mut labels: Vec<String> = Vec::with_capacity(view.spans.len());
    for span in view.spans.iter().rev() {
        let depth = span.depth;
        open.truncate(depth + 1);
        open.resize(depth + 1, false);
        let mut label = String::new();
        // A root has no branch; below it every level shows whether it goes on.
        for goes_on in open.iter().take(depth).skip(1) {
            label.push_str(if *goes_on { "│  " } else { "   " });
        }
        if depth > 0 {
            label.push_str(if open[depth] { "├─ " } else { "└─ " });
        }
        label.push_str(&printable(&span.service));
        label.push_str("  ");
        label.push_str(&printable(&span.name));
        labels.push(label);
        open[depth] = true;
    }
    labels.reverse();
    labels
}

/// Offset and length of a span within the trace, at least one column.
fn bar(span: &SpanView, total_us: u64, width: usize) -> String {
    let scale = |us: u64| {
        let columns = u128::from(us) * (width as u128) / u128::from(total_us.max(1));
        usize::try_from(columns).unwrap_or(width).min(width)
    };
    let start = scale(span.start_us).min(width.saturating_sub(1));
    let end = scale(span.start_us.saturating_add(span.duration_us)).clamp(start + 1, width.max(start + 1));
    format!("{}{}", " ".repeat(start), "█".repeat(end - start))
}

/// What the spans that failed say about it.
fn errors(view: &TraceView, terminal: Terminal) -> Vec<String> {
    view.spans
        .iter()
        .filter(|span| span.status == SpanStatus::Error)
        .filter_map(|span| {
            let text = |name: &str| {
                span.attributes.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            };
            let message =
                span.status_message.clone().or_else(|| text("error.message")).or_else(|| text("error.type"))?;
            let line = format!("✘ {}  {}: {}", printable(&span.service), printable(&span.name), printable(&message));
            Some(terminal.paint(Style::Bad, &line))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(
        depth: usize,
        service: &str,
        name: &str,
        start_us: u64,
        duration_us: u64,
        status: &str,
    ) -> serde_json::Value {
        serde_json::json!({
            "id": format!("{service}{name}{start_us}"), "depth": depth, "service": service, "name": name, "kind": "internal",
            "start_us": start_us, "duration_us": duration_us, "status": status, "attributes": {"error.type": "timeout"}, "events": []
        })
    }

    fn view(duration_us: u64, error_count: usize, spans: Vec<serde_json::Value>) -> TraceView {
        serde_json::from_value(serde_json::json!({
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "started_at": "2026-11-21T07:00:00Z", "duration_us": duration_us,
            "services": ["notifier-service", "market-data-service"], "error_count": error_count, "orphan_count": 0, "omitted_count": 0,
            "spans": spans
        }))
        .unwrap()
    }

    #[test]
    fn a_tree_with_times_and_bars() {
        let view = view(
            20_000,
            1,
            vec![
                span(0, "notifier-service", "POST /v1/ask", 0, 20_000, "unset"),
                span(1, "notifier-service", "ask", 500, 19_000, "unset"),
                span(2, "notifier-service", "GET /v1/prices", 1_000, 4_000, "unset"),
                span(3, "market-data-service", "GET /v1/prices", 2_000, 1_500, "unset"),
                span(2, "notifier-service", "POST /v1/decisions", 10_000, 9_000, "error"),
                span(1, "notifier-service", "late", 19_999, 1, "unset"),
            ],
        );
        let expected = "\
2 services · 6 spans · 20.0 ms · 1 error
notifier-service  POST /v1/ask                   20.0 ms  ████████████████████
├─ notifier-service  ask                         19.0 ms  ███████████████████
│  ├─ notifier-service  GET /v1/prices            4.0 ms   ████
│  │  └─ market-data-service  GET /v1/prices      1.5 ms    █
│  └─ notifier-service  POST /v1/decisions    ✘   9.0 ms            █████████
└─ notifier-service  late                           1 µs                     █
✘ notifier-service  POST /v1/decisions: timeout";
        assert_eq!(draw(&view, Terminal::plain(78)), expected);
    }

    #[test]
    fn a_narrow_terminal_shortens_names_and_keeps_the_bar() {
        let view = view(10, 0, vec![span(0, "a-service-with-a-long-name", "and a span with one too", 0, 10, "unset")]);
        let drawn = draw(&view, Terminal::plain(40));
        let line = drawn.lines().nth(1).unwrap();
        assert!(line.chars().count() <= 40 && line.contains('…') && line.ends_with("██████████"), "{line}");
    }

    #[test]
    fn nothing_overflows() {
        let odd = view(
            0,
            0,
            vec![span(0, "s", "n", u64::MAX, u64::MAX, "unset"), span(5, "s", "deep without parents", 3, 9, "unset")],
        );
        assert_eq!(draw(&odd, Terminal::plain(60)).lines().count(), 3);
    }
}
