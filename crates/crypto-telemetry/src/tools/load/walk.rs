//! One arriving user, from step to step.

use std::cell::RefCell;
use std::time::Instant;

use actix_web::web::Bytes;
use chrono::{SecondsFormat, Utc};
use domain::{AskRequest, StrategyName};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};
use url::Url;
use web::CancellationToken;

use super::caller::{Caller, Failure};
use super::journeys::{Journey, Step};
use super::mix::{ProcessBody, Visit};
use super::tally::Tally;
use crate::tools::http::{join, join_query};

/// Candles that are looked at.
const CANDLES: &str = "100";
/// Orders and audit rows of a page.
const PAGE: &str = "20";

/// Whom the users talk to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// notifier-service, which can only be asked.
    Notifier(Url),
    /// api-gateway, which has everything.
    Gateway(Url),
}

impl Target {
    pub(crate) const fn base(&self) -> &Url {
        match self {
            Self::Notifier(url) | Self::Gateway(url) => url,
        }
    }

    const fn prefix(&self) -> &'static str {
        match self {
            Self::Notifier(_) => "/v1",
            Self::Gateway(_) => "/api/v1",
        }
    }

    fn url(&self, path: &str) -> Url {
        join(self.base(), &format!("{}{path}", self.prefix()))
    }

    fn query(&self, path: &str, query: &[(&str, &str)]) -> Url {
        join_query(self.base(), &format!("{}{path}", self.prefix()), query)
    }
}

/// What all users of a run share.
pub(crate) struct Run {
    pub(crate) caller: Caller,
    pub(crate) target: Target,
    pub(crate) strategy: Option<StrategyName>,
    /// Where alerts are posted, its token included; given where anybody posts one.
    pub(crate) hook: Option<Url>,
    /// Before the number of every Idempotency-Key, so that no other run has the same ones.
    pub(crate) keys: String,
    pub(crate) tally: RefCell<Tally>,
    /// Users go no further once this is cancelled.
    pub(crate) stop: CancellationToken,
}

/// Why a journey ends before its end.
enum End {
    /// A step failed.
    Failed,
    /// The run is stopped.
    Stopped,
}

// What an answer must have to be one; nothing else in it is looked at.

#[derive(Deserialize)]
struct AskAnswer {
    #[serde(rename = "outcomes")]
    _outcomes: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct ProcessAnswer {
    services: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct PriceAnswer {
    #[serde(rename = "price")]
    _price: IgnoredAny,
}

#[derive(Deserialize)]
struct CandlesAnswer {
    #[serde(rename = "candles")]
    _candles: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct OrdersAnswer {
    items: Vec<OrderAnswer>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct OrderAnswer {
    user_id: i64,
}

#[derive(Deserialize)]
struct AuditAnswer {
    #[serde(rename = "items")]
    _items: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct UserAnswer {
    id: i64,
}

impl ProcessAnswer {
    /// The order's id: `order.id` of the part of the service that made it.
    fn order_id(&self) -> Option<&str> {
        self.services.iter().find_map(|part| part.data.get("order")?.get("id")?.as_str())
    }
}

#[derive(Deserialize)]
struct SignalAnswer {
    status: String,
    signal_id: String,
}

impl SignalAnswer {
    /// Its signal's id, if the answer is of this kind.
    fn id(self, status: &str) -> Result<String, Failure> {
        if self.status == status { Ok(self.signal_id) } else { Err(Failure::MalformedAnswer) }
    }
}

fn parsed<T: DeserializeOwned>(body: &Bytes) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|_not_what_was_asked_for| Failure::MalformedAnswer)
}

struct User<'a> {
    run: &'a Run,
    /// When the present step was due: the first one with the arrival, each further one when the one before ended.
    due: Instant,
}

impl User<'_> {
    /// Sends a step's request and judges its answer.
    async fn step<T>(
        &mut self,
        step: Step,
        request: impl Future<Output = Result<Bytes, Failure>>,
        judge: impl FnOnce(&Bytes) -> Result<T, Failure>,
    ) -> Result<T, End> {
        self.run.tally.borrow_mut().send(step);
        let answer = request.await;
        let ended = Instant::now();
        let outcome = answer.and_then(|body| judge(&body));
        let latency = ended.saturating_duration_since(self.due);
        self.run.tally.borrow_mut().record(step, latency, outcome.as_ref().map(|_| ()));
        self.due = ended;
        outcome.map_err(|_counted| End::Failed)
    }

    fn go_on(&self) -> Result<(), End> {
        if self.run.stop.is_cancelled() { Err(End::Stopped) } else { Ok(()) }
    }

    async fn get<T: DeserializeOwned>(&mut self, step: Step, url: &Url) -> Result<T, End> {
        let run = self.run;
        self.step(step, run.caller.get(url), parsed).await
    }

    async fn ask(&mut self, ask: AskRequest) -> Result<(), End> {
        let run = self.run;
        let url = run.target.url("/ask");
        self.step(Step::Ask, run.caller.post(&url, &ask, None), parsed::<AskAnswer>).await.map(|_| ())
    }

    async fn process(&mut self, body: &ProcessBody, key: &str, again: bool) -> Result<(), End> {
        let run = self.run;
        let url = run.target.url("/process");
        let order_of = |answer: &Bytes| {
            let order = parsed::<ProcessAnswer>(answer)?.order_id().map(str::to_owned);
            // What was bought must be told; another action may make no order.
            if order.is_none() && !body.items.is_empty() { Err(Failure::NoOrderId) } else { Ok(order) }
        };
        let first = self.step(Step::Process, run.caller.post(&url, body, Some(key)), order_of).await?;
        if !again {
            return Ok(());
        }
        self.go_on()?;
        let request = run.caller.post(&url, body, Some(key));
        self.step(Step::ProcessAgain, request, |answer| {
            let second = parsed::<ProcessAnswer>(answer)?;
            if second.order_id() == first.as_deref() { Ok(()) } else { Err(Failure::NotIdempotent) }
        })
        .await
    }

    async fn reads(&mut self, symbol: &str, pick: u32) -> Result<(), End> {
        let target = &self.run.target;
        self.get::<PriceAnswer>(Step::Price, &target.url(&format!("/prices/{symbol}"))).await?;
        self.go_on()?;
        let candles = target.query(&format!("/candles/{symbol}"), &[("limit", CANDLES)]);
        self.get::<CandlesAnswer>(Step::Candles, &candles).await?;
        self.go_on()?;
        let orders: OrdersAnswer = self.get(Step::Orders, &target.query("/orders", &[("limit", PAGE)])).await?;
        if let Some(cursor) = &orders.next_cursor {
            self.go_on()?;
            let next = target.query("/orders", &[("limit", PAGE), ("cursor", cursor)]);
            self.get::<OrdersAnswer>(Step::OrdersNext, &next).await?;
        }
        // Somebody who has ordered is known; an id out of the air might be nobody's, and 404 the right answer.
        let place = usize::try_from(pick).unwrap_or(0).checked_rem(orders.items.len());
        if let Some(order) = place.and_then(|place| orders.items.get(place)) {
            self.go_on()?;
            let url = target.url(&format!("/users/{}", order.user_id));
            let run = self.run;
            self.step(Step::User, run.caller.get(&url), |body| {
                let user: UserAnswer = parsed(body)?;
                if user.id == order.user_id { Ok(()) } else { Err(Failure::MalformedAnswer) }
            })
            .await?;
        }
        self.go_on()?;
        self.get::<AuditAnswer>(Step::Audit, &target.query("/audit", &[("limit", PAGE)])).await.map(|_| ())
    }
}

impl User<'_> {
    /// An alert of TradingView; a second one must be known as the first.
    async fn signal(&mut self, symbol: &str, action: &str, key: &str, again: bool) -> Result<(), End> {
        let run = self.run;
        // Settings give one wherever alerts are among the journeys.
        let Some(url) = &run.hook else { return Err(End::Failed) };
        let alert = json!({
            "ticker": symbol,
            "strategy.order.action": action,
            "strategy.order.id": key,
            "strategy.order.contracts": "0.001",
            "timenow": Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        });
        let id_of = |status: &'static str| move |body: &Bytes| parsed::<SignalAnswer>(body)?.id(status);
        let first = self.step(Step::Signal, run.caller.post(url, &alert, None), id_of("accepted")).await?;
        if !again {
            return Ok(());
        }
        self.go_on()?;
        self.step(Step::SignalAgain, run.caller.post(url, &alert, None), |body| {
            if id_of("duplicate")(body)? == first { Ok(()) } else { Err(Failure::NotIdempotent) }
        })
        .await
    }
}

/// One arrival's whole journey.
pub(crate) async fn walk(run: &Run, visit: Visit, number: u64, due: Instant) {
    let journey: Journey = visit.journey();
    run.tally.borrow_mut().begin(journey, due.elapsed());
    let mut user = User { run, due };
    let end = match visit {
        Visit::Ask { symbol } => {
            user.ask(AskRequest { symbols: vec![symbol], question: None, strategy: run.strategy }).await
        }
        Visit::Process { body, again } => user.process(&body, &format!("{}-{number}", run.keys), again).await,
        Visit::Reads { symbol, pick } => user.reads(symbol.as_str(), pick).await,
        Visit::Signal { symbol, action, again } => {
            user.signal(symbol.as_str(), action, &format!("{}-{number}", run.keys), again).await
        }
    };
    match end {
        Err(End::Stopped) => {}
        end => run.tally.borrow_mut().end(journey, user.due.saturating_duration_since(due), end.is_ok()),
    }
}
