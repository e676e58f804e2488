//! Trading over HTTP: order-service between the simulated market, the simulated BingX, audit-service, and people who are
//! told.

pub(crate) mod alerts;
pub(crate) mod asking;
pub(crate) mod confirming;
pub(crate) mod desk;
pub(crate) mod halting;
pub(crate) mod money;
pub(crate) mod positions;
pub(crate) mod reading;
pub(crate) mod recovery;
pub(crate) mod refusals;
pub(crate) mod signals;
pub(crate) mod spans;
