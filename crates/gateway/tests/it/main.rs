//! api-gateway in-process, on a free port; what is behind it are fakes of the test's own, servers on free ports too.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

mod chain;
mod chain_failures;
mod cors;
mod description;
mod fake;
mod keys;
mod limits;
mod page;
mod proxy;
mod stream;
mod support;
mod traces;
