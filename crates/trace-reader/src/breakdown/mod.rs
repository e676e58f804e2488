//! Where the time of a trace went, in the few steps that a trader knows: webhook, queue, price, exchange, message.
//!
//! Every moment of the trace's extent belongs to what was at work then: to the innermost span, in equal parts where
//! several steps worked at once, and to waiting where nothing did. So [`Step::self_us`] of all steps add up to
//! [`Breakdown::total_us`].

mod kind;
mod timeline;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{SpanKind, SpanStatus, SpanView, TraceView};
use timeline::{Interval, Timeline};

pub use kind::StepKind;

/// Where the time of one trace went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Breakdown {
    /// From the start of the first span to the end of the last, in microseconds.
    pub total_us: u64,
    /// Whether every span is here that others refer to: the figures of a trace that is still arriving change.
    pub is_whole: bool,
    /// By their start.
    pub steps: Vec<Step>,
}

/// One step: spans that are the same to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Step {
    /// What it is.
    pub kind: StepKind,
    /// For people: `Exchange`, or `service: span` where the span is not known.
    #[schema(example = "Exchange")]
    pub name: String,
    /// Who did the work; of a system outside its name (`bingx`).
    pub service: String,
    /// When it first began, in microseconds after the trace did.
    pub start_offset_us: u64,
    /// Time that nothing below it accounts for, in microseconds.
    pub self_us: u64,
    /// Time during which at least one of its spans ran, in microseconds; what is below it included.
    pub total_us: u64,
    /// How many spans it has; of waiting, how many times.
    pub span_count: usize,
    /// Whether one of its spans failed.
    pub is_error: bool,
}

/// Breaks a trace down into steps.
///
/// A call whose server's clock is off is moved to where its caller was waiting for it.
#[must_use]
pub fn breakdown(trace: &TraceView) -> Breakdown {
    let spans = &trace.spans;
    let parents = parents(spans);
    let (steps, step_of) = fold(spans, &parents);
    let timeline = Timeline::new(spans, &parents);
    let shares = timeline.share(&parents, &step_of, steps.len());

    let mut shown: Vec<Step> = steps
        .into_iter()
        .zip(shares.own_us)
        .map(|(folded, self_us)| folded.shown(spans, &timeline, self_us))
        .chain(waiting(spans, &shares.waits))
        .collect();
    shown.sort_by_key(|step| step.start_offset_us);
    Breakdown {
        total_us: timeline.extent_us(),
        is_whole: trace.orphan_count == 0 && trace.omitted_count == 0,
        steps: shown,
    }
}

/// Position of each span's parent. Only what comes before a span can be its parent: so a circle ends somewhere.
fn parents(spans: &[SpanView]) -> Vec<Option<usize>> {
    let mut positions: HashMap<&str, usize> = HashMap::with_capacity(spans.len());
    spans
        .iter()
        .enumerate()
        .map(|(position, span)| {
            let parent = span.parent_id.as_deref().and_then(|id| positions.get(id).copied());
            positions.entry(&span.id).or_insert(position);
            parent
        })
        .collect()
}

/// Spans that are one step.
struct Folded {
    kind: StepKind,
    name: String,
    members: Vec<usize>,
}

/// What spans of one step have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key<'a> {
    /// Wherever it is done.
    Kind(StepKind),
    /// By each service for itself.
    OfService(StepKind, &'a str),
    /// A span of which nothing is known.
    Span { service: &'a str, name: &'a str },
}

/// The steps, and for each span the position of its step.
fn fold(spans: &[SpanView], parents: &[Option<usize>]) -> (Vec<Folded>, Vec<usize>) {
    let mut steps: Vec<Folded> = Vec::new();
    let mut step_of: Vec<usize> = Vec::with_capacity(spans.len());
    let mut positions: HashMap<Key<'_>, usize> = HashMap::new();
    for ((position, span), parent) in spans.iter().enumerate().zip(parents) {
        let key = match kind::of(span) {
            Some(kind @ StepKind::Database) => Key::OfService(kind, &span.service),
            Some(kind) => Key::Kind(kind),
            None => Key::Span { service: &span.service, name: &span.name },
        };
        // What a service does on the way, without it being known by name, belongs to what it does.
        let above = parent.filter(|parent| {
            matches!(key, Key::Span { .. }) && spans.get(*parent).is_some_and(|above| above.service == span.service)
        });
        let step = above.and_then(|parent| step_of.get(parent).copied()).unwrap_or_else(|| {
            *positions.entry(key).or_insert_with_key(|key| {
                let (kind, name) = match key {
                    Key::Kind(kind) | Key::OfService(kind, _) => (*kind, kind.name().to_owned()),
                    Key::Span { service, name } => (StepKind::Other, format!("{service}: {name}")),
                };
                steps.push(Folded { kind, name, members: Vec::new() });
                steps.len() - 1
            })
        });
        if let Some(folded) = steps.get_mut(step) {
            folded.members.push(position);
        }
        step_of.push(step);
    }
    (steps, step_of)
}

impl Folded {
    fn shown(self, spans: &[SpanView], timeline: &Timeline, self_us: u64) -> Step {
        let members = || self.members.iter().filter_map(|position| spans.get(*position));
        let intervals = self.members.iter().filter_map(|position| timeline.interval(*position));
        let (start_offset_us, total_us) = timeline::union(intervals.collect());
        Step {
            kind: self.kind,
            service: who(self.kind, members()),
            start_offset_us,
            self_us,
            total_us,
            span_count: self.members.len(),
            is_error: members().any(|span| span.status == SpanStatus::Error),
            name: self.name,
        }
    }
}

/// Who did the work: who served a request, else who was asked, else who made the span. What is handed over is the work of
/// who does so.
fn who<'a>(kind: StepKind, mut spans: impl Iterator<Item = &'a SpanView> + Clone) -> String {
    let served = spans.clone().find(|span| matches!(span.kind, SpanKind::Server | SpanKind::Consumer));
    if let Some(span) = served {
        return span.service.clone();
    }
    let asked = spans.clone().find_map(|span| kind::text(span, "peer.service"));
    asked
        .filter(|_| kind != StepKind::HandOver)
        .or_else(|| spans.next().map(|span| span.service.as_str()))
        .unwrap_or_default()
        .to_owned()
}

/// Waiting, folded by what was waited for: each service's queue for itself.
fn waiting(spans: &[SpanView], waits: &[(Interval, usize)]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (interval, next) in waits {
        let Some(next) = spans.get(*next) else { continue };
        let kind = kind::of_waiting_for(next);
        let found = steps.iter_mut().find(|step| step.kind == kind && step.service == next.service);
        if let Some(step) = found {
            step.self_us += interval.length_us();
            step.total_us += interval.length_us();
            step.span_count += 1;
        } else {
            steps.push(Step {
                kind,
                name: kind.name().to_owned(),
                service: next.service.clone(),
                start_offset_us: interval.start_us,
                self_us: interval.length_us(),
                total_us: interval.length_us(),
                span_count: 1,
                is_error: false,
            });
        }
    }
    steps
}

#[cfg(test)]
mod tests;
