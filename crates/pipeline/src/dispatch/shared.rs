//! Pipelines that dispatchers share when they read all of them: what one has read from the database, the others read from a
//! cache.
//!
//! Only the database says which state the pipelines are in: its clock is asked at every look, and the newest change names
//! the state ([`Store::state`]). A page stands in the cache under that name, and is put there when the clock was the same
//! before and after it was read: so it is what the database had, all of it at one moment.

use std::time::Duration;

use ::cache::{Cache, Shelf};
use chrono::Utc;

use crate::store::{Row, Store, StoreError};

const SHELF: Shelf = Shelf::new("pipeline-pages");

/// Most pages of one reading that are shared, some 20,000 pipelines: what is shared by others must have room beside them.
const MOST_PAGES: u16 = 40;

/// Where pages are shared.
#[derive(Clone, Default)]
pub(crate) struct Shared {
    cache: Cache,
    keep: Duration,
}

/// One reading of all pipelines.
pub(crate) struct Reading<'a> {
    shared: &'a Shared,
    store: &'a Store,
    clock: i64,
    /// Name of the state that is read; none when nothing can be shared, or not any more.
    state: Option<String>,
    pages: u16,
}

impl Shared {
    /// Pages are shared for as long as `keep`.
    pub(crate) fn new(cache: &Cache, keep: Duration) -> Self {
        Self { cache: cache.quietly(), keep }
    }

    /// Begins to read all pipelines, of which the clock has been read before.
    pub(crate) async fn reading<'a>(&'a self, store: &'a Store, clock: i64) -> Result<Reading<'a>, StoreError> {
        let state = if self.cache.is_on() {
            self.cache.looked_for().await;
            store.state(clock).await?
        } else {
            None
        };
        Ok(Reading { shared: self, store, clock, state, pages: 0 })
    }
}

impl Reading<'_> {
    /// The next pipelines after the change of this number, at most so many.
    pub(crate) async fn page(&mut self, after: i64, most: u16) -> Result<Vec<Row>, StoreError> {
        let Some(state) = self.state.as_ref().filter(|_| self.pages < MOST_PAGES) else {
            return self.store.rows(after, most).await;
        };
        self.pages += 1;
        let (cache, key) = (&self.shared.cache, format!("{state}|{after}|{most}"));
        if let Some(rows) = cache.get::<Vec<Row>>(SHELF, &key).await
            && rows.len() <= usize::from(most)
            && Row::are_a_page(&rows, after, self.clock)
        {
            return Ok(rows);
        }
        let rows = self.store.rows(after, most).await?;
        if self.store.clock().await? == self.clock {
            let until = Utc::now() + self.shared.keep;
            cache.set(SHELF, &key, &rows, until).await;
        } else {
            // A pipeline that has gone from this page to the end would be on no page, if the last one came from before.
            self.state = None;
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use ::cache::testing::{Kept, Server};
    use domain::SignalEvent;
    use domain::pipeline::PipelineRequest;
    use serde_json::json;
    use storage::testing::{TestDatabase, engines};
    use storage::{Database, QueryType, Statement};
    use web::Background;
    use web::testing::eventually;

    use super::super::cache::Cache as Pipelines;
    use super::super::testing::{at, signal};
    use super::*;

    /// Longer than a test takes.
    const KEEP: Duration = Duration::from_secs(3_600);

    struct World {
        store: Store,
        background: Background,
    }

    impl Drop for World {
        fn drop(&mut self) {
            self.background.token().cancel();
        }
    }

    fn request(name: &str, ticker: &str) -> PipelineRequest {
        serde_json::from_value(json!({
            "name": name,
            "trigger": {"mode": "signal", "tickers": [ticker]},
            "steps": [{"name": "tell", "agent": "notify"}],
        }))
        .unwrap()
    }

    impl World {
        async fn start(test: &TestDatabase) -> Self {
            let database =
                Database::open(crate::store::DATABASE, &test.settings(), crate::store::migrations()).unwrap();
            let mut background = Background::new();
            background.spawn("database", |stop| database.clone().keep_up(stop));
            eventually("the database is there", async || database.ready().await.ok()).await;
            Self { store: Store::new(database), background }
        }

        /// A dispatcher's, which has read everything.
        async fn dispatcher(&self, cache: &Cache) -> Pipelines {
            let pipelines = Pipelines::new(self.store.clone(), KEEP).sharing(Shared::new(cache, KEEP));
            pipelines.refresh().await.unwrap();
            pipelines
        }

        /// Changes what the database has, past the clock: whoever sees it has asked the database.
        async fn by_hand(&self, ticker: &str) {
            let body = serde_json::to_string(&request("by hand", ticker)).unwrap();
            let statement = Statement::new(QueryType::Update, "pipelines", "UPDATE pipelines SET body = $1").bind(body);
            self.store.database().execute(statement).await.unwrap();
        }
    }

    /// How many pipelines a signal of this market sets off.
    fn matching(pipelines: &Pipelines, symbol: &str) -> usize {
        let signal: SignalEvent = serde_json::from_str(&signal(1, symbol)).unwrap();
        pipelines.matching(&signal).len()
    }

    fn run(test: impl AsyncFn(TestDatabase, &Server)) {
        for database in engines() {
            let Some(redis) = Server::start() else { return };
            actix_web::rt::System::new().block_on(test(database, &redis));
        }
    }

    #[test]
    fn what_one_has_read_another_reads_from_the_cache_until_something_changes() {
        run(async |database, redis| {
            let kept = Kept::open(&redis.settings()).connected().await;
            let world = World::start(&database).await;
            let first = world.store.create(&request("first", "BTCUSDT"), at(1)).await.unwrap();
            let one = world.dispatcher(&kept.cache).await;
            assert_eq!((matching(&one, "BTCUSDT"), redis.keys().len()), (1, 1));
            world.by_hand("ETHUSDT").await;
            let other = world.dispatcher(&kept.cache).await;
            assert_eq!(
                (matching(&other, "BTCUSDT"), matching(&other, "ETHUSDT")),
                (1, 0),
                "it was read from the cache"
            );
            // A change has another name, for whoever begins anew and for whoever goes on.
            let changed = request("first", "SOLUSDT");
            world.store.replace(&first.pipeline_id, None, &changed, at(2)).await.unwrap();
            for dispatcher in [&one, &other, &world.dispatcher(&kept.cache).await] {
                dispatcher.refresh().await.unwrap();
                assert_eq!((matching(dispatcher, "BTCUSDT"), matching(dispatcher, "SOLUSDT")), (0, 1));
            }
            world.store.delete(&first.pipeline_id, None, at(3)).await.unwrap();
            assert_eq!(matching(&world.dispatcher(&kept.cache).await, "SOLUSDT"), 0);
        });
    }

    /// The clocks say the same, and the pipelines are others: another database, or one from a backup.
    #[test]
    fn nobody_takes_the_pipelines_of_another_database_for_its_own() {
        run(async |database, redis| {
            let kept = Kept::open(&redis.settings()).connected().await;
            let other = if database.engine() == "sqlite" { TestDatabase::sqlite() } else { TestDatabase::postgres() };
            for (database, ticker) in [(&database, "BTCUSDT"), (&other, "ETHUSDT")] {
                let world = World::start(database).await;
                world.store.create(&request("first", ticker), at(1)).await.unwrap();
                let dispatcher = world.dispatcher(&kept.cache).await;
                assert_eq!(matching(&dispatcher, ticker), 1);
                // As if it was the last change that had been lost, and another one made in its place.
                let clock = "UPDATE pipeline_clock SET change_number = change_number - 1";
                let statement = Statement::new(QueryType::Update, "pipeline_clock", clock);
                world.store.database().execute(statement).await.unwrap();
                let statement = Statement::new(QueryType::Delete, "pipelines", "DELETE FROM pipelines");
                world.store.database().execute(statement).await.unwrap();
                world.store.create(&request("first", "SOLUSDT"), at(2)).await.unwrap();
                let dispatcher = world.dispatcher(&kept.cache).await;
                assert_eq!((matching(&dispatcher, ticker), matching(&dispatcher, "SOLUSDT")), (0, 1));
            }
        });
    }

    #[test]
    fn garbage_and_a_cache_that_dies_leave_the_database() {
        run(async |database, redis| {
            let kept = Kept::open(&redis.settings()).connected().await;
            let world = World::start(&database).await;
            world.store.create(&request("first", "BTCUSDT"), at(1)).await.unwrap();
            assert_eq!(matching(&world.dispatcher(&kept.cache).await, "BTCUSDT"), 1);
            let page: serde_json::Value =
                serde_json::from_str(&redis.ask::<String>(&["GET", &redis.keys()[0]])).unwrap();
            let with = |field: &str, value: serde_json::Value| {
                let mut page = page.clone();
                page["value"][0][field] = value;
                page.to_string()
            };
            let mut twice = page.clone();
            let row = twice["value"][0].clone();
            twice["value"].as_array_mut().unwrap().push(row);
            for garbage in [
                "garbage".to_owned(),
                with("id", "no id".into()),
                with("id", 7.into()),
                with("change_number", 0.into()),
                with("change_number", 2.into()),
                twice.to_string(),
            ] {
                redis.spoil(&garbage);
                assert_eq!(matching(&world.dispatcher(&kept.cache).await, "BTCUSDT"), 1, "{garbage}");
            }
            redis.crash();
            assert_eq!(matching(&world.dispatcher(&kept.cache).await, "BTCUSDT"), 1);
            redis.start_again();
            eventually("the cache is back", async || kept.cache.ready().await.ok()).await;
            assert_eq!(matching(&world.dispatcher(&kept.cache).await, "BTCUSDT"), 1);
            assert_eq!(redis.keys().len(), 1, "it is shared again");
        });
    }

    /// While one reads, somebody changes a pipeline, which goes from an early page to the end.
    #[test]
    fn what_was_read_while_something_changed_is_not_shared() {
        run(async |database, redis| {
            let kept = Kept::open(&redis.settings()).connected().await;
            let world = World::start(&database).await;
            let first = world.store.create(&request("first", "BTCUSDT"), at(1)).await.unwrap();
            world.store.create(&request("second", "ETHUSDT"), at(1)).await.unwrap();
            let (shared, clock) = (Shared::new(&kept.cache, KEEP), world.store.clock().await.unwrap());
            // Somebody has shared the last page of before: nothing comes after the second pipeline.
            let mut before = shared.reading(&world.store, clock).await.unwrap();
            assert!(before.page(2, 1).await.unwrap().is_empty());
            let mut reading = shared.reading(&world.store, clock).await.unwrap();
            world.store.replace(&first.pipeline_id, None, &request("first", "SOLUSDT"), at(2)).await.unwrap();
            let (mut number, mut read) = (0, Vec::new());
            while let Some(row) = reading.page(number, 1).await.unwrap().pop() {
                number = row.change_number();
                read.push(number);
            }
            assert_eq!(read, [2, 3], "both pipelines, one of them as it is now");
            assert_eq!(redis.keys().len(), 1, "{:?}", redis.keys());
        });
    }
}
