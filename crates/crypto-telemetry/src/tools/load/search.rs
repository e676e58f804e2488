//! The highest rate that is held.

use std::time::Duration;

use super::Report;
use super::report::shown;

/// A rate beyond which this does not look.
const MOST: u32 = 50_000;

/// Whether a rate was held.
fn holds(report: &Report, p99_limit: Duration) -> bool {
    report.is_clean() && report.p99() <= p99_limit
}

/// Doubles the rate until it is no longer held, then halves the gap until it is within five per cent.
///
/// An interrupted search ends with the best rate so far, whose report then says that it was interrupted.
pub(crate) async fn highest(
    first: u32,
    p99_limit: Duration,
    mut attempt: impl AsyncFnMut(u32) -> anyhow::Result<Report>,
) -> anyhow::Result<Report> {
    let mut best = attempt(first).await?;
    if best.interrupted {
        return Ok(best);
    }
    if !holds(&best, p99_limit) {
        anyhow::bail!("not even {first} arrivals a second are held: p99 {}, {}", shown(best.p99()), best.failures());
    }
    let mut too_high = None;
    loop {
        let held = best.rate_per_second;
        let rate = match too_high {
            None if held >= MOST => return Ok(best),
            None => held.saturating_mul(2).min(MOST),
            Some(too_high) if too_high - held <= held / 20 || too_high - held < 2 => return Ok(best),
            Some(too_high) => held.midpoint(too_high),
        };
        let report = attempt(rate).await?;
        if report.interrupted {
            best.interrupted = true;
            return Ok(best);
        }
        if holds(&report, p99_limit) {
            best = report;
        } else {
            too_high = Some(rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::caller::Failure;
    use super::super::journeys::Step;
    use super::super::report::tests::report;
    use super::super::tally::Tally;
    use super::*;

    /// What a server gives that serves so many a second.
    fn served(rate: u32, at_most: u32, interrupted: bool) -> Report {
        let mut report = Report { rate_per_second: rate, interrupted, ..report() };
        report.tally = Tally::new(&report.journeys);
        report.tally.send(Step::Ask);
        let outcome = if rate <= at_most { Ok(()) } else { Err(&Failure::RateLimited) };
        report.tally.record(Step::Ask, Duration::from_millis(3), outcome);
        report
    }

    async fn search(first: u32, at_most: u32, limit_ms: u64) -> (anyhow::Result<Report>, Vec<u32>) {
        let mut tried = Vec::new();
        let found = highest(first, Duration::from_millis(limit_ms), async |rate| {
            tried.push(rate);
            Ok(served(rate, at_most, false))
        })
        .await;
        (found, tried)
    }

    #[actix_web::test]
    async fn finds_the_highest_rate_within_five_per_cent() {
        for at_most in [100, 101, 199, 730, 49_999] {
            let (found, tried) = search(100, at_most, 10).await;
            let rate = found.unwrap().rate_per_second;
            assert!(rate <= at_most && at_most - rate <= rate / 20 + 1, "{rate} for {at_most}: {tried:?}");
            assert!(tried.len() < 20, "{tried:?}");
        }
        // Nothing is too much: it ends all the same.
        assert_eq!(search(100, u32::MAX, 10).await.0.unwrap().rate_per_second, MOST);
        assert_eq!(search(1, 1, 10).await.0.unwrap().rate_per_second, 1);
    }

    #[actix_web::test]
    async fn says_why_not_even_the_first_rate_is_held() {
        let (found, tried) = search(100, 99, 10).await;
        let error = found.unwrap_err().to_string();
        assert_eq!(error, "not even 100 arrivals a second are held: p99 0 µs, 1 failed (1 × rate_limited)");
        assert_eq!(tried, [100]);
        let too_late = search(100, 100, 2).await.0.unwrap_err().to_string();
        assert_eq!(too_late, "not even 100 arrivals a second are held: p99 3.0 ms, 0 failed");
    }

    #[actix_web::test]
    async fn an_interrupted_search_gives_the_best_so_far() {
        let found = highest(100, Duration::from_millis(10), async |rate| Ok(served(rate, 1_000, rate == 400))).await;
        let found = found.unwrap();
        assert_eq!((found.rate_per_second, found.interrupted), (200, true));
    }
}
