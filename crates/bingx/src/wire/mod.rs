//! What comes over the wire, read with patience: see the modules.

pub(crate) mod account;
mod envelope;
mod loose;
pub(crate) mod order;

pub(crate) use envelope::{Answer, read};
use loose::Loose;
