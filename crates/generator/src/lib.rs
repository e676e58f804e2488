//! signal-generator: signals for the bus, each exactly once (spec D1).
//!
//! golden_cross_generator (crossing.rs) looks at closed candles and makes a signal of each crossing of their moving
//! averages; mock_generator (mock.rs) makes random ones, and somebody may make one by hand (by_hand.rs). Each signal is
//! written with an outbox entry, and with how far its generator is, in one transaction and in a trace of its own
//! (making.rs, progress.rs). The outbox publishes it (publish.rs): nothing is lost while the bus is away. How much may pile
//! up is bounded: GENERATOR_BUFFER.

mod by_hand;
mod config;
#[cfg(test)]
mod crashes;
mod crossing;
mod error;
mod gauge;
mod ids;
mod making;
mod market;
mod mock;
mod overview;
mod progress;
mod publish;
mod retention;
mod routes;
mod signals;

use std::time::Duration;

use actix_web::web::Data;
use bus::Bus;
use domain::SignalWord;
use storage::{Database, Migration, outbox};
use telemetry::metrics::generator::{CANDLES_MISSED, HELD_BACK};
use utoipa::OpenApi as _;
use web::{Background, LocalNames, Readiness, RunningServer, Service, StartError};

use by_hand::ByHand;
pub use config::{Config, GeneratorSettings, Intervals, Mix};
use crossing::{CrossGenerator, Troubles};
use making::Maker;
use market::Market;
use mock::MockGenerator;
use overview::Overview;
pub use publish::Publish;
use signals::Signals;

/// Subcommand, process and `service.name`.
pub const NAME: &str = "signal-generator";

/// Port when none is set.
pub const DEFAULT_PORT: u16 = 8003;

fn migrations() -> Vec<Migration> {
    vec![
        Migration {
            version: 1,
            name: "signals",
            sqlite: include_str!("../migrations/0001_generator.sqlite.sql"),
            postgres: include_str!("../migrations/0001_generator.postgres.sql"),
        },
        outbox::migration(2),
    ]
}

/// Starts the service. Call it inside an actix system; it is ready once its database is. The bus and market-data-service
/// may be away: what is to be published waits, and so do candles.
///
/// # Errors
/// When a setting cannot be used or the port cannot be had.
#[expect(clippy::unused_async, reason = "every service starts this way; others have to wait for something")]
pub async fn start(config: Config) -> Result<RunningServer, StartError> {
    let bus = Bus::open(NAME, &config.bus)?;
    let mut background = Background::new();
    background.spawn("bus", |stop| bus.clone().keep_up(stop));
    let readiness = bus.noted_in(Readiness::new());
    let stop = background.token();
    // Nobody would stop the tasks of a service that never came to be.
    run(config, publish::on(bus), background, readiness).inspect_err(|_| stop.cancel())
}

/// Starts the service with another way to publish than the bus: for tests.
///
/// # Errors
/// When a setting cannot be used or the port cannot be had.
#[expect(clippy::unused_async, reason = "every service starts this way; others have to wait for something")]
pub async fn start_with(config: Config, publish: Publish) -> Result<RunningServer, StartError> {
    let background = Background::new();
    let stop = background.token();
    run(config, publish, background, Readiness::new()).inspect_err(|_| stop.cancel())
}

/// What is counted of losses is there from the start: a counter that begins with its first has not risen by it.
fn show_losses() {
    CANDLES_MISSED.add(0, &[]);
    for word in [SignalWord::MOCK, SignalWord::GOLDEN_CROSS, SignalWord::DEATH_CROSS] {
        HELD_BACK.add(0, &[("signal_type", word)]);
    }
}

fn run(
    config: Config,
    publish: Publish,
    mut background: Background,
    readiness: Readiness,
) -> Result<RunningServer, StartError> {
    show_losses();
    let settings = config.generator;
    let finder = settings.finder()?;
    let database = Database::open(NAME, &config.database, migrations())?;
    background.spawn("database", |stop| database.clone().keep_up(stop));
    let signals = Signals::new(database.clone());
    let limit =
        Duration::from_millis(config.bus.bus_publish_timeout_ms) + database.longest_statement() + publish::SPARE;
    let outbox = outbox::Outbox::new(database.clone(), "signals").with_delivery_timeout(limit);
    let maker = Maker::new(database.clone(), signals.clone(), outbox, settings.buffer);
    let market = Market::new(settings.market_data_url.clone());
    let troubles = Troubles::default();
    let words =
        |error: domain::SignalWordError| StartError::Setting { setting: "signal words", reason: error.to_string() };
    let crosses =
        CrossGenerator::new(maker.clone(), market.clone(), &settings, finder, troubles.clone()).map_err(words)?;
    let mock = MockGenerator::new(maker.clone(), &settings).map_err(words)?;
    let by_hand = Data::new(ByHand::new(maker.clone()).map_err(words)?);
    background.spawn("golden-cross", |stop| crosses.run(stop));
    background.spawn("mock", |stop| mock.run(stop));
    background.spawn("outbox", |stop| publish::deliver(maker.clone(), publish, stop));
    background.spawn("gauge", |stop| gauge::keep_up(maker.clone(), stop));
    background.spawn("retention", |stop| retention::keep_small(maker.clone(), settings.retention(), stop));
    let readiness = market.checked_in(database.checked_in(readiness));
    let (signals, overview) = (Data::new(signals), Data::new(Overview::new(maker, settings, troubles)));
    // Whoever can call these routes can have something bought: no page of others in this machine's browser is to be one
    // of them.
    let names = LocalNames::everywhere();
    let openapi = names.described(routes::Api::openapi());
    let service = Service { name: NAME, default_port: DEFAULT_PORT, openapi, readiness };
    web::start(&config.server, service, background, move |routes| {
        routes
            .app_data(names.clone())
            .app_data(signals.clone())
            .app_data(overview.clone())
            .app_data(by_hand.clone())
            .configure(routes::configure);
    })
}
