//! Integration tests of the pure rules, on recorded prices.

#[cfg(test)]
mod recorded_month;
