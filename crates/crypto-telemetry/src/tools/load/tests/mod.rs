//! Runs against servers of the tests' own, which stall, fail and lie on purpose.

mod ending;
mod failing;
mod journeys;
mod stall;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};

use super::arrivals::{self, Plan, Stop};
use super::progress::Progress;
use super::report::Report;
use super::settings::tests::args;

/// What a server answers to an ask, as far as this generator looks.
const ANSWER: &str = r#"{"outcomes":[{"answer":{"symbol":"BTCUSDT"}}]}"#;

/// A server on a free port in a thread of its own, so that nothing the generator does keeps it from answering. It ends
/// with the test.
struct Fake {
    url: String,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    fn start(configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static) -> Self {
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || App::new().configure(configure.clone()))
                    .workers(1)
                    .disable_signals()
                    .bind(("127.0.0.1", 0))
                    .unwrap();
                let url = format!("http://{}", server.addrs()[0]);
                let server = server.run();
                tell.send((url, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (url, handle) = told.recv().unwrap();
        Self { url, handle, thread: Some(thread) }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        // The command is on its way once the future is made; the server's own thread carries it out.
        drop(self.handle.stop(false));
        let ended = self.thread.take().unwrap().join();
        assert!(std::thread::panicking() || ended.is_ok(), "the server panicked");
    }
}

/// Counts what a server sees, from its own thread.
#[derive(Clone, Default)]
struct Count(Arc<AtomicU64>);

impl Count {
    /// One more; how many that makes.
    fn up(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits until there are so many.
    async fn reaches(&self, count: u64) {
        while self.get() < count {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

fn plan(line: &[&str]) -> Plan {
    args(line).plan().unwrap()
}

async fn run(plan: &Plan) -> Report {
    arrivals::run(plan, &Stop::default(), Progress::Off).await.unwrap()
}
