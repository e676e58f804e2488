//! When each span ran, on one clock, and whose every moment was.

use std::collections::BTreeSet;

use crate::{SpanKind, SpanView};

/// Latest moment that is told apart, in microseconds: more than a year. What lies beyond is nonsense; bounded like this,
/// moving calls into calls into calls cannot overflow.
const LATEST_US: u64 = 1 << 45;

/// From a moment to another, in microseconds after the trace's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Interval {
    pub(super) start_us: u64,
    pub(super) end_us: u64,
}

impl Interval {
    pub(super) const fn length_us(self) -> u64 {
        self.end_us.saturating_sub(self.start_us)
    }
}

/// When each span ran.
pub(super) struct Timeline {
    intervals: Vec<Interval>,
}

/// Whose the time was.
pub(super) struct Shares {
    /// Of each step.
    pub(super) own_us: Vec<u64>,
    /// When nothing ran, and the span that ended it.
    pub(super) waits: Vec<(Interval, usize)>,
}

/// What happens to a span at a moment; of several at one moment the ends come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    End,
    Start,
    /// A span without a duration: it takes no time, but nobody waits beyond it.
    Touch,
}

impl Timeline {
    /// Brings the spans onto one clock. Each process has its own: what a server says to have done before it was asked, or
    /// after its answer was there, is moved into the call, with everything below it.
    pub(super) fn new(spans: &[SpanView], parents: &[Option<usize>]) -> Self {
        // Start, end, and how far it was moved; signed, because a clock may be behind.
        let mut placed: Vec<(i64, i64, i64)> = Vec::with_capacity(spans.len());
        for (span, parent) in spans.iter().zip(parents) {
            let start = signed(span.start_us);
            let end = start + signed(span.duration_us);
            let above = parent.and_then(|parent| Some((spans.get(parent)?, *placed.get(parent)?)));
            let moved = above.map_or(0, |(parent, (parent_start, parent_end, moved))| {
                let is_call = parent.kind == SpanKind::Client && span.kind == SpanKind::Server;
                let into = if is_call { into((start + moved, end + moved), (parent_start, parent_end)) } else { 0 };
                moved + into
            });
            placed.push((start + moved, end + moved, moved));
        }
        let first = placed.iter().map(|(start, ..)| *start).min().unwrap_or_default();
        let offset = |at: i64| u64::try_from(at - first).unwrap_or_default();
        let intervals = placed
            .into_iter()
            .map(|(start, end, _)| Interval { start_us: offset(start), end_us: offset(end) })
            .collect();
        Self { intervals }
    }

    /// From the first start to the last end.
    pub(super) fn extent_us(&self) -> u64 {
        self.intervals.iter().map(|interval| interval.end_us).max().unwrap_or_default()
    }

    pub(super) fn interval(&self, span: usize) -> Option<Interval> {
        self.intervals.get(span).copied()
    }

    /// Gives every moment to the steps whose spans ran then and had nothing running below them.
    pub(super) fn share(&self, parents: &[Option<usize>], step_of: &[usize], steps: usize) -> Shares {
        let mut shares = Shares { own_us: vec![0; steps], waits: Vec::new() };
        let mut running = Running::new(parents, step_of, steps);
        let mut now_us = 0;
        for (at_us, change, span) in self.changes() {
            if at_us > now_us {
                if running.steps.is_empty() {
                    shares.waits.push((Interval { start_us: now_us, end_us: at_us }, span));
                } else {
                    running.pay(at_us - now_us, &mut shares.own_us);
                }
                now_us = at_us;
            }
            running.apply(change, span);
        }
        shares
    }

    fn changes(&self) -> Vec<(u64, Change, usize)> {
        let mut changes = Vec::with_capacity(self.intervals.len() * 2);
        for (span, interval) in self.intervals.iter().enumerate() {
            if interval.length_us() == 0 {
                changes.push((interval.start_us, Change::Touch, span));
            } else {
                changes.push((interval.start_us, Change::Start, span));
                changes.push((interval.end_us, Change::End, span));
            }
        }
        changes.sort_unstable();
        changes
    }
}

/// What runs at a moment.
struct Running<'a> {
    parents: &'a [Option<usize>],
    step_of: &'a [usize],
    /// Of each span: whether it runs, and how many below it do.
    spans: Vec<(bool, usize)>,
    /// Of each step: how many of its spans run with nothing running below them.
    innermost: Vec<usize>,
    /// Steps that have such a span.
    steps: BTreeSet<usize>,
}

impl<'a> Running<'a> {
    fn new(parents: &'a [Option<usize>], step_of: &'a [usize], steps: usize) -> Self {
        let spans = vec![(false, 0); parents.len()];
        Self { parents, step_of, spans, innermost: vec![0; steps], steps: BTreeSet::new() }
    }

    fn apply(&mut self, change: Change, span: usize) {
        let starts = match change {
            Change::Start => true,
            Change::End => false,
            Change::Touch => return,
        };
        self.change(span, |(runs, _)| *runs = starts);
        let mut above = self.parent(span);
        while let Some(ancestor) = above {
            self.change(ancestor, |(_, below)| *below = if starts { *below + 1 } else { below.saturating_sub(1) });
            above = self.parent(ancestor);
        }
    }

    fn parent(&self, span: usize) -> Option<usize> {
        self.parents.get(span).copied().flatten()
    }

    /// Changes a span, and counts it for its step if that makes it innermost or ends that it is.
    fn change(&mut self, span: usize, change: impl FnOnce(&mut (bool, usize))) {
        let (Some(state), Some(step)) = (self.spans.get_mut(span), self.step_of.get(span)) else { return };
        let is_innermost = |(runs, below): (bool, usize)| runs && below == 0;
        let before = is_innermost(*state);
        change(state);
        let after = is_innermost(*state);
        let Some(count) = self.innermost.get_mut(*step) else { return };
        match (before, after) {
            (false, true) => {
                *count += 1;
                self.steps.insert(*step);
            }
            (true, false) => {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.steps.remove(step);
                }
            }
            _ => {}
        }
    }

    /// Pays out a time in equal parts to the steps that run; what does not divide goes to the first ones.
    fn pay(&self, time_us: u64, own_us: &mut [u64]) {
        let count = u64::try_from(self.steps.len()).unwrap_or(u64::MAX).max(1);
        for (place, step) in (0_u64..).zip(&self.steps) {
            if let Some(own_us) = own_us.get_mut(*step) {
                *own_us += time_us / count + u64::from(place < time_us % count);
            }
        }
    }
}

/// How far a call has to be moved so that it lies within what its caller waited. One that took longer than its caller
/// waited keeps its end, but does not begin before it was asked.
fn into((start, end): (i64, i64), (earliest, latest): (i64, i64)) -> i64 {
    if start < earliest {
        earliest - start
    } else if end > latest {
        (latest - end).max(earliest - start)
    } else {
        0
    }
}

/// Start and length of the time that these cover.
pub(super) fn union(mut intervals: Vec<Interval>) -> (u64, u64) {
    intervals.sort_unstable();
    let start_us = intervals.first().map_or(0, |first| first.start_us);
    let (_, length_us) = intervals.iter().fold((0, 0), |(covered_until, length), interval| {
        let fresh = interval.end_us.saturating_sub(interval.start_us.max(covered_until));
        (interval.end_us.max(covered_until), length + fresh)
    });
    (start_us, length_us)
}

fn signed(us: u64) -> i64 {
    i64::try_from(us.min(LATEST_US)).unwrap_or(i64::MAX)
}
