//! Charts: candles of market-data-service as a picture, with an order or a decision marked.

use chart::{ChartRequest, MAX_DRAWN, Mark, MarkKind};
use chrono::{DateTime, TimeDelta, Utc};
use domain::trading::TradeOrder;
use domain::{Answer, CandleSeries, DecisionId, Interval, Symbol};
use storage::StorageError;

use super::intake::Place;
use super::reply::Reply;
use super::text::Why;
use super::why::Found;
use super::{Bot, Outcome, text};
use crate::outbox::Content;

/// Largest picture that is kept in the outbox, in bytes. Charts have a tenth of it.
const MAX_PICTURE_BYTES: usize = 1024 * 1024;

impl Bot {
    /// A chart of a symbol.
    pub(super) async fn chart_of(&self, place: Place, symbol: &Symbol, interval: Option<Interval>) -> Reply {
        self.picture(place, symbol, interval, None).await
    }

    /// A chart of a symbol with this order or decision marked, as far as it is known.
    pub(super) async fn chart_with(
        &self,
        place: Place,
        symbol: &Symbol,
        id: &DecisionId,
    ) -> Result<Reply, StorageError> {
        let recalled = self.inner.outbox.recall(place.chat_id, id.as_str()).await?;
        let mark = match self.while_typing(place, self.find(id, recalled)).await {
            Found::Known(known) => mark_of(&known.what),
            // A chart without its mark is better than none.
            Found::Nothing | Found::Failed(_) => None,
        };
        Ok(self.picture(place, symbol, None, mark).await)
    }

    async fn picture(&self, place: Place, symbol: &Symbol, interval: Option<Interval>, mark: Option<Mark>) -> Reply {
        let interval = interval.unwrap_or_else(|| interval_for(mark.as_ref().map(|mark| mark.at), Utc::now()));
        let candles = self.inner.backends.chart_candles(symbol, interval);
        let series = match self.while_typing(place, candles).await {
            Ok(series) => series,
            Err(error) => {
                return Reply::text(place, text::failed("There is no chart.", &error)).with(Outcome::Refused);
            }
        };
        let caption = text::chart(&series, mark.as_ref().map(|mark| mark.label.as_str()));
        match draw(series, mark).await {
            Ok(png) => Reply::of(place, Content::text(caption).with_picture(&png)),
            Err(reason) => Reply::text(place, text::no_chart(symbol, &reason)).with(Outcome::Refused),
        }
    }
}

/// Draws on a thread that may compute for long.
async fn draw(series: CandleSeries, mark: Option<Mark>) -> Result<Vec<u8>, String> {
    let request = ChartRequest { series, mark };
    let drawn = tokio::task::spawn_blocking(move || chart::draw(&request)).await;
    match drawn {
        Ok(Ok(png)) if png.len() <= MAX_PICTURE_BYTES => Ok(png),
        Ok(Ok(png)) => Err(format!("the picture has {} bytes, more than {MAX_PICTURE_BYTES}", png.len())),
        Ok(Err(error)) => Err(error.to_string()),
        Err(stopped) => {
            tracing::error!(error = %stopped, "drawing a chart did not come to its end");
            Err("drawing it failed; it has been logged".to_owned())
        }
    }
}

fn mark_of(what: &Why) -> Option<Mark> {
    match what {
        Why::Order(order) => Some(of_order(order)),
        Why::Decision(answer) => Some(of_decision(answer)),
        // Nothing happened that could be pointed at.
        Why::Refusal(_) | Why::Pipeline(_) => None,
    }
}

fn of_order(order: &TradeOrder) -> Mark {
    let price = order.average_price.unwrap_or(order.reference_price);
    let filled = !order.filled_quantity.is_zero();
    Mark {
        at: if filled { order.updated_at } else { order.created_at },
        price,
        kind: MarkKind::from(order.side),
        label: format!(
            "{} {} at {}",
            order.side.as_str().to_uppercase(),
            order.quantity.normalize(),
            text::grouped(price)
        ),
    }
}

fn of_decision(answer: &Answer) -> Mark {
    Mark {
        at: answer.price_observed_at,
        price: answer.price,
        kind: MarkKind::from(answer.action),
        label: format!("{} at {}", answer.action, text::grouped(answer.price)),
    }
}

/// The shortest candles whose chart still reaches back to what is marked.
fn interval_for(marked_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Interval {
    let reaches = |interval: &Interval| {
        let reach = TimeDelta::minutes(i64::from(MAX_DRAWN) * i64::from(interval.minutes()) * 9 / 10);
        marked_at.is_none_or(|at| now - at <= reach)
    };
    Interval::ALL.into_iter().find(reaches).unwrap_or(Interval::OneHour)
}

#[cfg(test)]
mod tests {
    use super::super::text::samples;
    use super::*;

    #[test]
    fn the_chart_reaches_back_to_what_is_marked() {
        let now = samples::noon();
        let interval = |minutes| interval_for(Some(now - TimeDelta::minutes(minutes)), now);
        assert_eq!(interval_for(None, now), Interval::OneMinute);
        assert_eq!(interval(0), Interval::OneMinute);
        assert_eq!(interval(129), Interval::OneMinute);
        assert_eq!(interval(140), Interval::FiveMinutes);
        assert_eq!(interval(24 * 60), Interval::FifteenMinutes);
        assert_eq!(interval(48 * 60), Interval::OneHour);
        assert_eq!(interval(30 * 24 * 60), Interval::OneHour, "and no further");
        assert_eq!(interval(-5), Interval::OneMinute, "clocks may differ");
    }

    #[test]
    fn an_order_is_marked_where_it_was_filled_and_a_decision_at_its_price() {
        let order = samples::order();
        let mark = of_order(&order);
        assert_eq!((mark.kind, mark.label.as_str()), (MarkKind::Buy, "BUY 0.002 at 46,224.50"));
        assert_eq!(mark.at, order.updated_at);
        let answer = samples::answer("BTCUSDT", "Up.");
        assert_eq!(of_decision(&answer).label, "BUY at 46,224.50");
    }
}
