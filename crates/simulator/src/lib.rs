//! simulator
mod market;
