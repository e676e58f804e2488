//! How often clients may come.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use telemetry::metrics::gateway::RATE_LIMITED_CLIENTS;
use web::CancellationToken;

use crate::config::DoorSettings;

/// Clients that a limit remembers. Beyond that, those it would have to remember share these few.
const MAX_REMEMBERED: usize = 100_000;

/// What clients share when there are too many of them.
const SHARED: u64 = 1_024;

/// Time between two times of forgetting whom no limit holds back any more.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// Those with this key.
    Key(Arc<str>),
    /// Those from this address.
    Address(IpAddr),
    /// Those of many clients.
    Shared(u64),
}

/// The limits; clones share them.
#[derive(Clone)]
pub(crate) struct Limits {
    requests: Option<Arc<Limiter>>,
    failures: Arc<Limiter>,
}

struct Limiter {
    limiter: DefaultKeyedRateLimiter<Client>,
    most: usize,
    /// Seeded anew in every process: nobody outside can aim at who shares with whom.
    hasher: RandomState,
}

impl Limiter {
    fn new(quota: Quota, most: usize) -> Self {
        Self { limiter: DefaultKeyedRateLimiter::keyed(quota), most, hasher: RandomState::new() }
    }

    /// Counts a request; an `Err` says how long to wait.
    fn admit(&self, client: Client) -> Result<(), Duration> {
        let client = if self.limiter.len() < self.most {
            client
        } else {
            Client::Shared(self.hasher.hash_one(&client) % SHARED)
        };
        self.limiter.check_key(&client).map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }

    fn forget(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

impl Limits {
    pub(crate) fn new(settings: &DoorSettings) -> Self {
        let burst = NonZeroU32::new(settings.rate_limit_burst).unwrap_or(NonZeroU32::MIN);
        let requests = NonZeroU32::new(settings.rate_limit_per_second)
            .map(|rate| Arc::new(Limiter::new(Quota::per_second(rate).allow_burst(burst), MAX_REMEMBERED)));
        let failures = NonZeroU32::new(settings.auth_failures_per_minute).unwrap_or(NonZeroU32::MIN);
        Self { requests, failures: Arc::new(Limiter::new(Quota::per_minute(failures), MAX_REMEMBERED)) }
    }

    /// Counts a client's request; an `Err` says how long to wait.
    pub(crate) fn request(&self, client: Client) -> Result<(), Duration> {
        self.requests.as_ref().map_or(Ok(()), |limiter| limiter.admit(client))
    }

    /// Counts an address's wrong key; an `Err` says how long to wait.
    pub(crate) fn failure(&self, address: IpAddr) -> Result<(), Duration> {
        self.failures.admit(Client::Address(address))
    }

    /// Forgets clients that no limit holds back any more.
    pub(crate) async fn keep_small(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(FORGET_EVERY) => {}
            }
            let mut remembered = 0;
            for limiter in self.requests.iter().chain([&self.failures]) {
                limiter.forget();
                remembered += limiter.limiter.len();
            }
            #[expect(clippy::cast_precision_loss, reason = "some hundred thousand at most")]
            RATE_LIMITED_CLIENTS.set(remembered as f64, &[]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> Client {
        Client::Address(IpAddr::from(n.to_be_bytes()))
    }

    #[test]
    fn a_burst_is_let_in_and_the_next_waits_whoever_else_comes() {
        let limiter = Limiter::new(Quota::per_minute(NonZeroU32::new(3).unwrap()), 10);
        for _ in 0..3 {
            assert_eq!(limiter.admit(address(1)), Ok(()));
        }
        let wait = limiter.admit(address(1)).unwrap_err();
        assert!(wait > Duration::from_secs(1) && wait <= Duration::from_secs(20), "{wait:?}");
        assert_eq!(limiter.admit(address(2)), Ok(()));
        assert_eq!(limiter.admit(Client::Key("a".into())), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_those_beyond_are_limited_together() {
        let limiter = Limiter::new(Quota::per_hour(NonZeroU32::MIN), 100);
        let refused = (0..20_000).filter(|n| limiter.admit(address(*n)).is_err()).count();
        assert!(limiter.limiter.len() <= 100 + usize::try_from(SHARED).unwrap(), "{}", limiter.limiter.len());
        assert!(refused > 10_000, "those who share one place are not let in without limit: {refused}");
    }

    #[test]
    fn whom_no_limit_holds_back_is_forgotten() {
        let limiter = Limiter::new(Quota::with_period(Duration::from_nanos(1)).unwrap(), 100);
        for n in 0..50 {
            assert_eq!(limiter.admit(address(n)), Ok(()));
        }
        limiter.forget();
        assert_eq!(limiter.limiter.len(), 0);
    }

    #[test]
    fn no_limit_is_a_setting() {
        let mut settings = crate::Config::ephemeral(&["--rate-limit-burst", "1"]).unwrap().door;
        let limits = Limits::new(&settings);
        assert!(limits.request(address(1)).is_ok() && limits.request(address(1)).is_err());
        settings.rate_limit_per_second = 0;
        let limits = Limits::new(&settings);
        assert!((0..1_000).all(|_| limits.request(address(1)).is_ok()));
    }
}
