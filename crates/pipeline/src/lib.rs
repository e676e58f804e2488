//! Pipelines: their store, and pipeline-service.

pub mod store;
