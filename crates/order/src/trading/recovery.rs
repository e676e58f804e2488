//! Going on with an order that is not at its end: asking the exchange, booking what it says, and sending again only what
//! surely is not there.

use domain::DecisionId;
use domain::trading::{Actor, OrderStatus};
use serde_json::json;
use telemetry::metrics::trading::{FEES_USD, NOTIONAL_USD};

use super::booking::{self, Booking, Figures, News};
use super::clock::now;
use super::core::{Trading, ourselves, the_exchange};
use super::error::TradingError;
use super::exchange::{AskFailure, Report};
use super::moves::{self, Told};
use super::table::Kept;
use super::{gauges, ledger};

/// Why an order is unknown that the exchange had, and why it ends when a person gives it up.
const NO_LONGER_KNOWN: &str = "the exchange no longer knows it";

/// How often a report is compared again with an order that somebody else has changed meanwhile.
const TRIES: usize = 5;

impl Trading {
    /// Goes on with an order as far as it can now: what waits for nobody is sent, what nobody knows is asked about.
    ///
    /// # Errors
    /// [`TradingError::Unknown`] while it is not known whether the exchange has it, or somebody is just sending it.
    pub(crate) async fn go_on(&self, kept: Kept) -> Result<Kept, TradingError> {
        match kept.order.status {
            // Another account's: whoever trades there goes on with it.
            _ if kept.order.mode != self.core.rules.mode => Ok(kept),
            OrderStatus::Unknown => Box::pin(self.ask(kept)).await,
            OrderStatus::New if kept.order.awaits_confirmation() => self.expire_unconfirmed(kept).await,
            OrderStatus::New => match kept.claim {
                None => Box::pin(self.send_again(kept)).await,
                Some(claim) if claim.until > now() => Err(TradingError::Unknown(kept.id().clone())),
                Some(_) => {
                    let unknown = self.lost(&kept).await?;
                    Box::pin(self.ask(unknown)).await
                }
            },
            _ => Ok(kept),
        }
    }

    /// Writes that nobody knows what has become of an order that somebody was sending.
    pub(super) async fn lost(&self, kept: &Kept) -> Result<Kept, TradingError> {
        let change = |after: &mut Kept| {
            after.order.status = OrderStatus::Unknown;
            after.order.reason = Some("whoever was sending it has not said what became of it".to_owned());
            after.claim = None;
        };
        let written = self.write(kept, change, Told::moved(ourselves())).await?;
        written.ok_or(TradingError::Contended)
    }

    /// Asks the exchange about an order, books what it says, and sends it again when it surely is not there.
    ///
    /// # Errors
    /// [`TradingError::Unknown`] when its outcome stays unknown, [`TradingError::Exchange`] when there is no answer about
    /// one that the exchange has.
    pub(super) async fn ask(&self, kept: Kept) -> Result<Kept, TradingError> {
        let kept = Box::pin(self.ask_only(kept)).await?;
        if kept.is_idle() { Box::pin(self.send_again(kept)).await } else { Ok(kept) }
    }

    /// The same, and sends nothing: an order that surely is not there is new again.
    pub(super) async fn ask_only(&self, kept: Kept) -> Result<Kept, TradingError> {
        let answer = self.core.exchange.query(&kept.order.symbol, kept.id()).await;
        self.answered(kept, answer).await
    }

    /// Goes on from the exchange's answer about an order, and sends nothing.
    pub(super) async fn answered(&self, kept: Kept, answer: Result<Report, AskFailure>) -> Result<Kept, TradingError> {
        let unknown = kept.order.status == OrderStatus::Unknown;
        match answer {
            Ok(report) => {
                self.core.missing.forget(kept.id());
                Box::pin(self.book(kept, &report)).await
            }
            Err(AskFailure::NoSuchOrder(_)) if unknown && self.can_no_longer_appear(&kept) => {
                let change = |after: &mut Kept| {
                    after.order.status = OrderStatus::New;
                    after.order.reason = Some("the exchange never got it".to_owned());
                    after.claim = None;
                };
                let written = self.write(&kept, change, Told::moved(the_exchange())).await?;
                written.ok_or(TradingError::Contended)
            }
            // Nothing comes after its end, and an exchange does not keep orders for ever.
            Err(AskFailure::NoSuchOrder(_)) if kept.order.status.is_final() => Ok(kept),
            Err(AskFailure::NoSuchOrder(_)) if kept.order.exchange_order_id.is_some() => self.missing(kept).await,
            Err(failure) => {
                tracing::info!(order.id = %kept.order.id, error = %failure, "the exchange says nothing of the order");
                if unknown {
                    Err(TradingError::Unknown(kept.id().clone()))
                } else {
                    Err(TradingError::Exchange(failure.to_string()))
                }
            }
        }
    }

    /// The exchange does not know an order that it had.
    async fn missing(&self, kept: Kept) -> Result<Kept, TradingError> {
        let id = kept.id().clone();
        let settled = self.core.rules.times.settled();
        let for_good = self.core.missing.told(&id, std::time::Instant::now(), settled);
        if kept.order.status != OrderStatus::Unknown && for_good {
            let change = |after: &mut Kept| {
                after.order.status = OrderStatus::Unknown;
                after.order.reason = Some(NO_LONGER_KNOWN.to_owned());
            };
            let told = Told::moved(the_exchange());
            self.write(&kept, change, told).await?.ok_or(TradingError::Contended)?;
        }
        Err(TradingError::Missing(id))
    }

    /// Ends an order that the exchange had and no longer knows, once that is sure, because a person says so.
    pub(super) async fn end_missing(&self, id: &DecisionId, by: &Actor) -> Result<Kept, TradingError> {
        let kept = self.find(id).await?;
        // Only what was made unknown for this reason; it has an id of the exchange.
        if kept.order.status != OrderStatus::Unknown || kept.order.exchange_order_id.is_none() {
            return Err(TradingError::Missing(id.clone()));
        }
        let ended = self.end(&kept, OrderStatus::Cancelled, NO_LONGER_KNOWN.to_owned(), by.clone()).await?;
        ended.ok_or(TradingError::Contended)
    }

    /// Whether the exchange's word that there is no such order is its last: it never said that it has it, and what was
    /// sent then would be too old to be taken now.
    fn can_no_longer_appear(&self, kept: &Kept) -> bool {
        kept.order.exchange_order_id.is_none()
            && kept.sent_at.is_none_or(|sent_at| now() > sent_at + self.core.rules.times.settled())
    }

    /// Books what a report says that is not known yet.
    async fn book(&self, mut kept: Kept, report: &Report) -> Result<Kept, TradingError> {
        for _ in 0..TRIES {
            if let Some(booked) = self.book_once(&kept, report).await? {
                return Ok(booked);
            }
            kept = self.find(kept.id()).await?;
        }
        Err(TradingError::Contended)
    }

    async fn book_once(&self, kept: &Kept, report: &Report) -> Result<Option<Kept>, TradingError> {
        let core = &*self.core;
        let order = &kept.order;
        let figures = Figures {
            status: order.status,
            filled: order.filled_quantity,
            average_price: order.average_price,
            fee: order.fee,
            realised: order.realised_pnl,
        };
        // Most reports say nothing new, and lock nobody out.
        let nothing = booking::read(kept.id(), order.side, &figures, &booking::Ledger::default(), report)?;
        if nothing == News::None {
            return Ok(Some(kept.clone()));
        }
        let mut transaction = core.database.begin().await?;
        let ledger = ledger::lock(&mut transaction, order.mode, &order.symbol).await?;
        let news = booking::read(kept.id(), order.side, &figures, &ledger, report)?;
        let mut after = kept.clone();
        after.order.exchange_order_id.get_or_insert_with(|| report.exchange_order_id.clone());
        after.order.submitted_at.get_or_insert_with(now);
        after.claim = None;
        let booking = match news {
            News::None => None,
            News::Status(status) => {
                after.order.status = status;
                None
            }
            News::Booking(booking) => {
                after.order.status = booking.order.status;
                after.order.filled_quantity = booking.order.filled;
                after.order.average_price = booking.order.average_price;
                after.order.fee = booking.order.fee;
                after.order.realised_pnl = booking.order.realised;
                Some(booking)
            }
        };
        if after.order.status != order.status {
            // What was wrong before is over.
            after.order.reason = ending(kept, after.order.status);
        }
        let told = told(kept, booking.as_deref());
        let Some(written) = moves::write(&mut transaction, &core.telling, kept, after, told).await? else {
            transaction.rollback().await?;
            return Ok(None);
        };
        if let Some(booking) = &booking {
            ledger::write(&mut transaction, &written.kept, booking).await?;
        }
        transaction.commit().await?;
        let kept = self.counted(written);
        if let Some(booking) = &booking {
            self.count_booking(&kept, booking).await;
        }
        Ok(Some(kept))
    }

    /// Figures for charts: what cannot be read now is set with the next fill.
    async fn count_booking(&self, kept: &Kept, booking: &Booking) {
        let order = &kept.order;
        if let Some((quantity, price)) = booking.fill
            && let Some(notional) = quantity.checked_mul(price)
        {
            NOTIONAL_USD.add(gauges::figure(notional), &[("action", order.side.as_str())]);
        }
        if booking.fee.is_sign_positive() {
            FEES_USD.add(gauges::figure(booking.fee), &[("symbol", self.core.rules.label(&order.symbol))]);
        }
        if let Err(error) = gauges::positions(&self.core.database, &self.core.rules).await {
            tracing::warn!(error = %error, "the figures of positions are not up to date");
        }
    }
}

/// Why an order has ended at the exchange, where its status does not say it.
fn ending(kept: &Kept, status: OrderStatus) -> Option<String> {
    match (status, &kept.cancel_by) {
        (OrderStatus::Cancelled, Some(by)) => Some(format!("cancelled by {by}")),
        (OrderStatus::Cancelled, None) => Some("the exchange, or somebody there, took it back".to_owned()),
        (OrderStatus::Rejected, _) => Some("the exchange took it and then rejected it".to_owned()),
        (OrderStatus::Expired, _) => Some("its time ran out at the exchange".to_owned()),
        _ => None,
    }
}

/// What is told of a report: people hear of fills and of moves.
fn told(kept: &Kept, booking: Option<&Booking>) -> Told {
    let Some(booking) = booking else { return Told::moved(the_exchange()) };
    let data = json!({
        "fill": booking.fill.map(|(quantity, price)| json!({"quantity": quantity, "price": price})),
        "fee": booking.fee,
        "realised_pnl": booking.realised,
    });
    let stays = booking.order.status == kept.order.status;
    let action = stays.then_some(if booking.fill.is_some() { "order.fill" } else { "order.fee" });
    Told { actor: the_exchange(), action, notice: true, data }
}
