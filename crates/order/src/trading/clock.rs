//! The time, as databases keep it.

use chrono::{DateTime, SubsecRound as _, Utc};

/// Now, to the microsecond: what is written is what is read again.
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
