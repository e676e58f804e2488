//! Integration tests of the pure rules, on recorded prices.

mod recorded_month;
