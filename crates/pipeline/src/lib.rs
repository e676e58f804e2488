//! Pipelines: what people want to happen when a signal comes, or every so often.
//!
//! One crate and one database for the processes that share the work: pipeline-service ([`api`]), where people make
//! pipelines and see what happened; trigger-dispatcher ([`dispatch`]), which sets them off; workers go by the same
//! [`store`].

pub mod api;
mod count;
pub mod dispatch;
pub mod store;
pub mod work;
