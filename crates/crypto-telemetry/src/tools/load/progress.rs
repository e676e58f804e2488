//! How far a run is: a bar on a terminal, else a line now and then; on standard error, away from the report.

use std::io::IsTerminal as _;
use std::rc::Rc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::schedule::Schedule;
use super::tally::Tally;
use super::walk::Run;
use crate::tools::terminal::{complain, micros};

/// How often the bar moves.
const BAR_EVERY: Duration = Duration::from_millis(200);
/// How often there is a line where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// In which form progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Not at all.
    Off,
    /// As a bar that is redrawn.
    Bar,
    /// As lines, one below the other.
    Lines,
}

impl Progress {
    /// What standard error is good for.
    pub(crate) fn on_stderr(quiet: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self::choose(quiet, std::io::stderr().is_terminal() && !dumb)
    }

    const fn choose(quiet: bool, terminal: bool) -> Self {
        match (quiet, terminal) {
            (true, _) => Self::Off,
            (false, true) => Self::Bar,
            (false, false) => Self::Lines,
        }
    }

    /// Shows how far the run is, for as long as it is not dropped.
    pub(super) async fn follow(self, run: Rc<Run>, schedule: Schedule) {
        match self {
            Self::Off => {}
            Self::Bar => {
                let bar = Bar::new(schedule.total());
                let mut ticks = tokio::time::interval(BAR_EVERY);
                loop {
                    ticks.tick().await;
                    let tally = run.tally.borrow();
                    bar.0.set_position(tally.begun());
                    bar.0.set_message(words(&tally));
                }
            }
            Self::Lines => {
                let mut ticks = tokio::time::interval(LINE_EVERY);
                // The first tick comes at once, when there is nothing to tell.
                ticks.tick().await;
                loop {
                    ticks.tick().await;
                    let tally = run.tally.borrow();
                    let seconds = schedule.started().elapsed().as_secs();
                    let (begun, total) = (tally.begun(), schedule.total());
                    complain(&format!("load: {begun} of {total} arrivals after {seconds} s: {}", words(&tally)));
                }
            }
        }
    }
}

/// A bar that leaves no trace on the terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new(total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos} of {len}: {wide_msg}") {
            bar.set_style(style);
        }
        Self(bar)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn words(tally: &Tally) -> String {
    let all = &tally.all;
    let limited = if all.rate_limited > 0 { format!(", {} rate limited", all.rate_limited) } else { String::new() };
    format!(
        "{} answered, {} failed{limited}, {} open, p99 {}",
        all.answered(),
        all.failed(),
        all.open(),
        micros(u64::try_from(all.latencies.quantile(0.99).as_micros()).unwrap_or(u64::MAX)),
    )
}

#[cfg(test)]
mod tests {
    use super::super::caller::Failure;
    use super::super::journeys::Step;
    use super::*;

    #[test]
    fn a_bar_is_for_terminals_only_and_nothing_for_who_wants_quiet() {
        assert_eq!(Progress::choose(false, true), Progress::Bar);
        assert_eq!(Progress::choose(false, false), Progress::Lines);
        assert_eq!(Progress::choose(true, true), Progress::Off);
    }

    #[test]
    fn the_words_tell_what_counts() {
        let mut tally = Tally::new(&"ask".parse().unwrap());
        assert_eq!(words(&tally), "0 answered, 0 failed, 0 open, p99 0 µs");
        for outcome in [Ok(()), Err(&Failure::Timeout), Err(&Failure::RateLimited)] {
            tally.send(Step::Ask);
            tally.record(Step::Ask, Duration::from_micros(1_000), outcome);
        }
        tally.send(Step::Ask);
        assert_eq!(words(&tally), "1 answered, 1 failed, 1 rate limited, 1 open, p99 1.0 ms");
    }
}
