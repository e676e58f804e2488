//! From spans in any order to a tree in reading order.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::DateTime;

use crate::otlp::RawSpan;
use crate::view::{EventView, SpanStatus, SpanView, TraceView};

/// Spans that are shown at most; a trace beyond this is not one that a person reads.
const MAX_SPANS: usize = 2_000;

/// Builds the view; `None` when there is no span.
pub(crate) fn build(trace_id: &str, mut spans: Vec<RawSpan>) -> Option<TraceView> {
    // Tempo may hold the same span twice when a batch was sent again.
    let mut seen = HashSet::new();
    spans.retain(|span| seen.insert(span.id.clone()));
    spans.sort_by(|a, b| (a.start_ns, &a.id).cmp(&(b.start_ns, &b.id)));
    let start_ns = spans.first()?.start_ns;
    let end_ns = spans.iter().map(|span| span.end_ns).max().unwrap_or(start_ns);
    let omitted_count = spans.len().saturating_sub(MAX_SPANS);
    spans.truncate(MAX_SPANS);

    let position: HashMap<&str, usize> =
        spans.iter().enumerate().map(|(index, span)| (span.id.as_str(), index)).collect();
    let mut children: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut tops = Vec::new();
    let mut orphan_count = 0;
    for (index, span) in spans.iter().enumerate() {
        match span.parent_id.as_deref().map(|parent| position.get(parent)) {
            Some(Some(parent)) if *parent != index => children.entry(*parent).or_default().push(index),
            Some(None) => {
                orphan_count += 1;
                tops.push(index);
            }
            _ => tops.push(index),
        }
    }

    let mut order = Vec::with_capacity(spans.len());
    let mut placed = vec![false; spans.len()];
    // Spans that are each other's ancestors are reachable from no top: they are shown all the same, after the rest.
    for top in tops.into_iter().chain(0..spans.len()) {
        let mut stack = vec![(top, 0)];
        while let Some((index, depth)) = stack.pop() {
            if std::mem::replace(&mut placed[index], true) {
                continue;
            }
            order.push((index, depth));
            let below = children.get(&index).into_iter().flatten().rev();
            stack.extend(below.map(|child| (*child, depth + 1)));
        }
    }

    let mut services: Vec<String> = Vec::new();
    for span in &spans {
        if !services.contains(&span.service) {
            services.push(span.service.clone());
        }
    }
    let error_count = spans.iter().filter(|span| span.status == SpanStatus::Error).count();
    let mut taken: Vec<Option<RawSpan>> = spans.into_iter().map(Some).collect();
    let spans =
        order.into_iter().filter_map(|(index, depth)| Some(view(taken[index].take()?, depth, start_ns))).collect();
    Some(TraceView {
        trace_id: trace_id.to_owned(),
        started_at: DateTime::from_timestamp_nanos(i64::try_from(start_ns).unwrap_or(i64::MAX)),
        duration_us: micros(start_ns, end_ns),
        services,
        error_count,
        orphan_count,
        omitted_count,
        spans,
    })
}

fn view(span: RawSpan, depth: usize, trace_start_ns: u64) -> SpanView {
    let mut events: Vec<EventView> = span
        .events
        .into_iter()
        .map(|event| EventView {
            name: event.name,
            at_us: micros(trace_start_ns, event.at_ns),
            attributes: event.attributes,
        })
        .collect();
    events.sort_by_key(|event| event.at_us);
    SpanView {
        id: span.id,
        parent_id: span.parent_id,
        depth,
        service: span.service,
        name: span.name,
        kind: span.kind,
        start_us: micros(trace_start_ns, span.start_ns),
        duration_us: micros(span.start_ns, span.end_ns),
        status: span.status,
        status_message: span.status_message,
        attributes: span.attributes,
        events,
    }
}

const fn micros(from_ns: u64, to_ns: u64) -> u64 {
    to_ns.saturating_sub(from_ns) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::SpanKind;
    use proptest::prelude::*;

    fn span(id: &str, parent: Option<&str>, start_us: u64, end_us: u64) -> RawSpan {
        RawSpan {
            id: id.to_owned(),
            parent_id: parent.map(str::to_owned),
            service: format!("service of {id}"),
            name: id.to_owned(),
            kind: SpanKind::Internal,
            start_ns: start_us * 1_000,
            end_ns: end_us * 1_000,
            status: SpanStatus::Unset,
            status_message: None,
            attributes: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    fn rows(view: &TraceView) -> Vec<(&str, usize)> {
        view.spans.iter().map(|span| (span.id.as_str(), span.depth)).collect()
    }

    #[test]
    fn parents_come_before_children_and_children_by_their_start() {
        let spans = vec![
            span("price", Some("ask"), 120, 150),
            span("decide", Some("ask"), 160, 190),
            span("root", None, 100, 200),
            span("candles", Some("ask"), 121, 155),
            span("ask", Some("root"), 110, 195),
        ];
        let view = build("t", spans).unwrap();
        assert_eq!(rows(&view), [("root", 0), ("ask", 1), ("price", 2), ("candles", 2), ("decide", 2)]);
        assert_eq!((view.duration_us, view.orphan_count, view.omitted_count), (100, 0, 0));
        assert_eq!((view.spans[2].start_us, view.spans[2].duration_us), (20, 30));
        assert_eq!(view.services.len(), 5);
        assert_eq!(view.services[0], "service of root");
    }

    #[test]
    fn a_span_whose_parent_is_missing_stands_at_the_top_and_is_counted() {
        let view = build("t", vec![span("a", Some("gone"), 1, 2), span("b", Some("a"), 1, 2)]).unwrap();
        assert_eq!(rows(&view), [("a", 0), ("b", 1)]);
        assert_eq!(view.orphan_count, 1);
    }

    #[test]
    fn circles_and_doubles_do_no_harm() {
        let spans = vec![
            span("a", Some("b"), 1, 2),
            span("b", Some("a"), 2, 3),
            span("self", Some("self"), 0, 3),
            span("self", Some("self"), 0, 3),
        ];
        let view = build("t", spans).unwrap();
        assert_eq!(view.spans.len(), 3);
    }

    #[test]
    fn nothing_is_none_and_too_much_is_cut() {
        assert_eq!(build("t", Vec::new()), None);
        let spans = (0..MAX_SPANS as u64 + 5).map(|n| span(&n.to_string(), None, n, n)).collect();
        let view = build("t", spans).unwrap();
        assert_eq!((view.spans.len(), view.omitted_count), (MAX_SPANS, 5));
    }

    proptest! {
        #[test]
        fn every_span_is_shown_once(parents in proptest::collection::vec(0_usize..40, 1..40)) {
            let spans: Vec<RawSpan> = parents
                .iter()
                .enumerate()
                .map(|(n, parent)| span(&n.to_string(), Some(&parent.to_string()), n as u64, n as u64 + 1))
                .collect();
            let count = spans.len();
            let view = build("t", spans).unwrap();
            let ids: HashSet<&str> = view.spans.iter().map(|span| span.id.as_str()).collect();
            prop_assert_eq!(ids.len(), count);
            prop_assert_eq!(view.spans.len(), count);
        }
    }
}
