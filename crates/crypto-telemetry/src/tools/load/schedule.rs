//! When arrivals are due, and a clock that says so in time.

use std::io;
use std::time::{Duration, Instant};

use tokio::sync::watch;

const NANOS: u128 = 1_000_000_000;

/// Arrivals at even distances from a start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    started: Instant,
    rate_per_second: u32,
    total: u64,
}

impl Schedule {
    /// How many arrivals a rate and a duration make.
    pub(crate) fn arrivals(rate_per_second: u32, duration: Duration) -> u64 {
        u64::try_from(duration.as_nanos() * u128::from(rate_per_second) / NANOS).unwrap_or(u64::MAX)
    }

    /// From now on.
    pub(crate) fn new(rate_per_second: u32, duration: Duration) -> Self {
        Self { started: Instant::now(), rate_per_second, total: Self::arrivals(rate_per_second, duration) }
    }

    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// When an arrival is due, counted from zero.
    pub(crate) fn due(&self, number: u64) -> Instant {
        let after = u128::from(number) * NANOS / u128::from(self.rate_per_second);
        self.started + Duration::from_nanos(u64::try_from(after).unwrap_or(u64::MAX))
    }

    /// How many arrivals are due at this time.
    fn due_by(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.started).as_nanos();
        let count = ((elapsed + 1) * u128::from(self.rate_per_second)).div_ceil(NANOS);
        u64::try_from(count).unwrap_or(u64::MAX).min(self.total)
    }

    /// Tells how many arrivals are due by now, again and again until all are or nobody listens any more.
    ///
    /// In a thread of its own: the timers of the asynchronous runtime wake up to a millisecond late, which at thousands
    /// of arrivals a second would be most of the latency that is measured.
    ///
    /// # Errors
    /// When there can be no further thread.
    pub(crate) fn tell(self) -> io::Result<watch::Receiver<u64>> {
        let (tell, told) = watch::channel(0);
        std::thread::Builder::new().name("load-schedule".to_owned()).spawn(move || {
            loop {
                let due = self.due_by(Instant::now());
                if tell.send(due).is_err() || due == self.total {
                    return;
                }
                std::thread::sleep(self.due(due).saturating_duration_since(Instant::now()));
            }
        })?;
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_and_a_duration_make_so_many_arrivals() {
        assert_eq!(Schedule::arrivals(100, Duration::from_secs(10)), 1_000);
        assert_eq!(Schedule::arrivals(3, Duration::from_millis(500)), 1);
        assert_eq!(Schedule::arrivals(1, Duration::from_millis(999)), 0);
        assert_eq!(Schedule::arrivals(100_000, Duration::from_secs(600)), 60_000_000);
    }

    #[test]
    fn what_is_due_is_exactly_what_is_due() {
        for rate in [1, 3, 7, 333, 3_000, 99_999, 100_000] {
            let schedule = Schedule::new(rate, Duration::from_secs(600));
            for number in [0, 1, 2, 599, schedule.total() - 1] {
                let due = schedule.due(number);
                assert_eq!(schedule.due_by(due), number + 1, "rate {rate}, arrival {number}");
                let before = due.checked_sub(Duration::from_nanos(1)).unwrap();
                assert_eq!(schedule.due_by(before), if number == 0 { 1 } else { number }, "rate {rate}, {number}");
            }
            assert_eq!(schedule.due_by(schedule.started() + Duration::from_secs(6_000)), schedule.total());
        }
    }

    #[actix_web::test]
    async fn all_arrivals_are_told_and_none_before_it_is_due() {
        let schedule = Schedule::new(1_000, Duration::from_millis(50));
        let mut told = schedule.tell().unwrap();
        let mut last = 0;
        while told.changed().await.is_ok() {
            last = *told.borrow_and_update();
            assert!(last == 0 || Instant::now() >= schedule.due(last - 1));
        }
        assert_eq!(last, 50);
    }
}
