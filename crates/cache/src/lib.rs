//! A cache that the instances of a service share: Redis or Valkey, by URL (issue 7). Without a URL there is none, and every
//! look into it finds nothing.
//!
//! A service opens its [`Cache`] and runs [`Cache::keep_up`] beside its server. What stands in the cache is never the truth:
//! whatever goes wrong with it (away, slow, something else in its place) is as if nothing stood there, is counted, and is
//! said once. While it is known to be away nobody waits for it.

mod cache;
mod error;
mod health;
mod observe;
mod settings;
mod shelf;
mod target;
#[cfg(feature = "testing")]
pub mod testing;

pub use cache::Cache;
pub use settings::CacheSettings;
pub use shelf::Shelf;
