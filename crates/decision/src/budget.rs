//! The day's money for language models.

use std::sync::{Mutex, PoisonError};

use chrono::NaiveDate;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use telemetry::metrics::decision::BUDGET_LEFT_USD;

/// What may be spent in a day (UTC).
///
/// The most that a call can cost is set aside before it and corrected after it, so that calls at the same time cannot
/// overspend together. A call whose end is never learned (its request was given up) stays counted in full.
#[derive(Debug)]
pub(crate) struct Budget {
    daily_usd: Decimal,
    today: Mutex<Day>,
}

#[derive(Debug, Clone, Copy)]
struct Day {
    date: NaiveDate,
    spent_usd: Decimal,
}

/// The day's money does not suffice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) left_usd: Decimal,
}

/// Money set aside for one call.
#[derive(Debug)]
#[must_use = "an unsettled reservation counts as spent"]
pub(crate) struct Reservation<'a> {
    budget: &'a Budget,
    date: NaiveDate,
    amount_usd: Decimal,
}

impl Budget {
    pub(crate) fn new(daily_usd: Decimal) -> Self {
        let budget = Self { daily_usd, today: Mutex::new(Day { date: NaiveDate::MIN, spent_usd: Decimal::ZERO }) };
        budget.report(Decimal::ZERO);
        budget
    }

    pub(crate) const fn daily_usd(&self) -> Decimal {
        self.daily_usd
    }

    /// Sets the most a call can cost aside.
    pub(crate) fn reserve(&self, amount_usd: Decimal, date: NaiveDate) -> Result<Reservation<'_>, Spent> {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that is set back does not open the day's budget again.
        if date > today.date {
            *today = Day { date, spent_usd: Decimal::ZERO };
        }
        let left_usd = (self.daily_usd - today.spent_usd).max(Decimal::ZERO);
        if amount_usd > left_usd {
            self.report(today.spent_usd);
            return Err(Spent { left_usd });
        }
        today.spent_usd += amount_usd;
        self.report(today.spent_usd);
        Ok(Reservation { budget: self, date: today.date, amount_usd })
    }

    fn report(&self, spent_usd: Decimal) {
        let left = (self.daily_usd - spent_usd).max(Decimal::ZERO);
        BUDGET_LEFT_USD.set(left.to_f64().unwrap_or(0.0), &[]);
    }
}

impl Reservation<'_> {
    /// Puts what the call really cost in the place of what was set aside.
    pub(crate) fn settle(self, cost_usd: Decimal) {
        let mut today = self.budget.today.lock().unwrap_or_else(PoisonError::into_inner);
        // What was set aside yesterday was counted yesterday.
        if today.date == self.date {
            today.spent_usd = today.spent_usd - self.amount_usd + cost_usd;
        }
        self.budget.report(today.spent_usd);
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal_macros::dec;

    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
    }

    #[test]
    fn what_is_set_aside_counts_until_it_is_settled() {
        let budget = Budget::new(dec!(1));
        let first = budget.reserve(dec!(0.6), day(1)).unwrap();
        assert_eq!(budget.reserve(dec!(0.6), day(1)).unwrap_err(), Spent { left_usd: dec!(0.4) });
        first.settle(dec!(0.1));
        let second = budget.reserve(dec!(0.9), day(1)).unwrap();
        second.settle(dec!(0.95));
        assert_eq!(budget.reserve(dec!(0.01), day(1)).unwrap_err(), Spent { left_usd: dec!(0) }, "1.05 were spent");
    }

    #[test]
    fn a_call_that_was_given_up_counts_in_full() {
        let budget = Budget::new(dec!(1));
        drop(budget.reserve(dec!(0.7), day(1)).unwrap());
        assert_eq!(budget.reserve(dec!(0.7), day(1)).unwrap_err(), Spent { left_usd: dec!(0.3) });
    }

    #[test]
    fn a_new_day_has_its_own_money_and_an_old_one_none_again() {
        let budget = Budget::new(dec!(1));
        let late = budget.reserve(dec!(1), day(1)).unwrap();
        let early = budget.reserve(dec!(0.5), day(2)).unwrap();
        late.settle(dec!(0));
        early.settle(dec!(0.5));
        assert!(budget.reserve(dec!(0.6), day(2)).is_err(), "yesterday's correction is not today's money");
        assert!(budget.reserve(dec!(0.6), day(1)).is_err(), "the clock was set back");
        assert!(budget.reserve(dec!(0.6), day(3)).is_ok());
    }

    #[test]
    fn no_budget_allows_what_is_free() {
        let budget = Budget::new(dec!(0));
        assert!(budget.reserve(dec!(0), day(1)).is_ok());
        assert!(budget.reserve(dec!(0.000001), day(1)).is_err());
    }
}
