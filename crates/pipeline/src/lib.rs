//! Pipelines: what people want to happen when a signal comes, or every so often.
//!
//! One crate and one database for the processes that share the work: pipeline-service ([`api`]), where people make
//! pipelines and see what happened; dispatchers and workers go by the same [`store`].

pub mod api;
mod count;
pub mod store;
