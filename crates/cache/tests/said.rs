//! What the log says of a cache that goes away: once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use cache::Shelf;
use cache::testing::{Kept, Server};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use web::testing::eventually;

/// Keeps what is said, with its level.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Said {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Message(String);
        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        if event.metadata().target().starts_with("cache") {
            self.0.lock().unwrap().push(format!("{} {}", event.metadata().level(), message.0));
        }
    }
}

#[actix_web::test]
async fn an_outage_is_said_once_and_so_is_its_end() {
    const SHELF: Shelf = Shelf::new("things");
    let Some(server) = Server::start() else { return };
    telemetry::testing::init();
    let said = Said::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(said.clone()));
    let kept = Kept::open(&server.settings()).connected().await;
    for outage in 1..=2 {
        server.crash();
        for _ in 0..50 {
            assert_eq!(kept.cache.get::<i32>(SHELF, "a").await, None);
            kept.cache.ready().await.unwrap_err();
        }
        server.start_again();
        eventually("the cache is back", async || kept.cache.ready().await.ok()).await;
        let said = said.0.lock().unwrap().clone();
        assert_eq!(said.len(), 2 * outage, "{said:?}");
        assert!(said[said.len() - 2].starts_with("WARN the shared cache is away"), "{said:?}");
        assert_eq!(said[said.len() - 1], "INFO the shared cache is back");
    }
    // What is refused is no outage, and is said once too.
    let _: i64 = server.ask(&["LPUSH", "crypto-telemetry:things:list", "x"]);
    for _ in 0..50 {
        assert_eq!(kept.cache.get::<i32>(SHELF, "list").await, None);
    }
    let said = said.0.lock().unwrap().clone();
    assert_eq!(said.len(), 5, "{said:?}");
    assert!(said[4].starts_with("WARN the shared cache refuses a command"), "{said:?}");
}
