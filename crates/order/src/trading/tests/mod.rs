//! Trading with an exchange that does as it is told, and processes that end where they should not.

mod closing;
mod crashes;
mod exchange;
mod overtaken;
mod world;

pub(crate) use world::kept;
