//! Who may use the bot: nobody but the listed user ids.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::role::{Role, Roles};

/// A stranger is told once in this time.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(3600);

/// Strangers that are remembered; a crowd beyond this hears nothing.
const MAX_REMEMBERED: usize = 1_000;

/// What to do with somebody's update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Serve it, as far as the role goes.
    Allowed(Role),
    /// Do not, and say so.
    Refuse,
    /// Do not; it has been said lately.
    Ignore,
}

/// The list, and who has been told.
#[derive(Debug)]
pub(crate) struct Access {
    roles: Roles,
    told: Mutex<HashMap<u64, Instant>>,
}

impl Access {
    pub(crate) fn new(roles: Roles) -> Self {
        Self { roles, told: Mutex::default() }
    }

    /// Decides about one update of a user.
    pub(crate) fn check(&self, user_id: u64, now: Instant) -> Verdict {
        if let Some(role) = self.roles.of(user_id) {
            return Verdict::Allowed(role);
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(&user_id).is_some_and(|at| now.duration_since(*at) < TELL_AGAIN_AFTER) {
            return Verdict::Ignore;
        }
        if told.len() >= MAX_REMEMBERED {
            told.retain(|_, at| now.duration_since(*at) < TELL_AGAIN_AFTER);
            if told.len() >= MAX_REMEMBERED {
                return Verdict::Ignore;
            }
        }
        told.insert(user_id, now);
        Verdict::Refuse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_allowed_by_default_and_is_told_once_an_hour() {
        let access = Access::new(Roles::default());
        let now = Instant::now();
        assert_eq!(access.check(1, now), Verdict::Refuse);
        assert_eq!(access.check(1, now + Duration::from_secs(3599)), Verdict::Ignore);
        assert_eq!(access.check(2, now), Verdict::Refuse);
        assert_eq!(access.check(1, now + Duration::from_secs(3600)), Verdict::Refuse);
    }

    #[test]
    fn the_listed_are_allowed() {
        let access = Access::new(Roles::new([(Role::Viewer, [1001].as_slice())]));
        assert_eq!(access.check(1001, Instant::now()), Verdict::Allowed(Role::Viewer));
        assert_eq!(access.check(1002, Instant::now()), Verdict::Refuse);
    }

    #[test]
    fn a_crowd_is_not_remembered_without_bound() {
        let access = Access::new(Roles::default());
        let now = Instant::now();
        let refused = (0..5_000).filter(|id| access.check(*id, now) == Verdict::Refuse).count();
        assert_eq!(refused, MAX_REMEMBERED);
        assert_eq!(access.check(9_999, now + TELL_AGAIN_AFTER), Verdict::Refuse);
    }
}
