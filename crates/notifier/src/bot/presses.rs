//! Presses of buttons: who may, what is done, and what the button's owner sees of it.

use chrono::{DateTime, Utc};
use domain::DecisionId;
use domain::trading::TradeOrder;
use storage::StorageError;
use web::{UpstreamError, UpstreamErrorKind};

use super::commands::by;
use super::intake::Place;
use super::keyboard::{self, Press};
use super::orders::order_draft;
use super::reply::Reply;
use super::role::Role;
use super::{Bot, Outcome, text};
use crate::backends::Verdict;

/// Of order-service: the answer took too long, and the work goes on.
const GATEWAY_TIMEOUT: u16 = 504;

impl Bot {
    /// Answers a press; `message` is where the button was. The press itself is always answered, whatever comes of it.
    pub(super) async fn answer_press(
        &self,
        user_id: u64,
        role: Role,
        callback_id: &str,
        message: Option<(Place, i32)>,
        data: &str,
    ) -> Result<Reply, StorageError> {
        let (Some(press), Some((place, message_id))) = (keyboard::press(data), message) else {
            self.alert_presser(callback_id, text::STALE_BUTTON).await;
            return Ok(Reply::silent(Outcome::Ignored));
        };
        // At press time: whoever lost a role since the message was sent has lost its buttons, too.
        let needed = press.role();
        if role < needed {
            self.note_denied(user_id, needed);
            let words = text::needs_role("decide about orders", needed, role);
            self.alert_presser(callback_id, &text::shorten_to(&words, text::MAX_CALLBACK)).await;
            return Ok(Reply::silent(Outcome::Denied));
        }
        if let Press::Decide(verdict, id) = press {
            return Ok(self.decide(user_id, callback_id, place, message_id, verdict, &id).await);
        }
        self.answer_callback(callback_id, None).await;
        Ok(match press {
            Press::AskAgain(symbols) => self.ask(place, &symbols).await,
            Press::Trace(id) => Reply::text(place, text::trace(id.as_str(), self.inner.public_url.as_ref())),
            Press::Why(id) => self.why_of(place, &id).await?,
            Press::Chart(symbol, id) => self.chart_with(place, &symbol, &id).await?,
            Press::Decide(..) => Reply::silent(Outcome::Ignored),
        })
    }

    /// Confirms, declines or cancels an order; whatever comes of it, the message shows the order as it is then.
    async fn decide(
        &self,
        user_id: u64,
        callback_id: &str,
        place: Place,
        message_id: i32,
        verdict: Verdict,
        id: &DecisionId,
    ) -> Reply {
        let backends = &self.inner.backends;
        let decided = self.while_typing(place, backends.decide_order(id, verdict, &by(user_id))).await;
        let (order, outcome) = match decided {
            Ok(order) => {
                let words = match verdict {
                    Verdict::Confirm => "Confirmed.",
                    Verdict::Decline => "Declined.",
                    Verdict::Cancel => "Cancelled, as far as it was not filled.",
                };
                tracing::info!(order.id = %id, order.action = verdict.as_str(), "an order was decided about in Telegram");
                self.answer_callback(callback_id, Some(words)).await;
                (Some(order), Outcome::Answered)
            }
            Err(error) => {
                let still = self.still_asked(id, verdict, &error).await;
                // A button that was used or is too old: order-service says so itself.
                let words = if error.is_refusal() {
                    text::refused_briefly(&error)
                } else if let Some((_, until)) = &still {
                    text::not_confirmed(&error, *until)
                } else {
                    let what = match verdict {
                        Verdict::Confirm => "Not known whether it is confirmed.",
                        Verdict::Decline => "Not known whether it is declined.",
                        Verdict::Cancel => "Not known whether it is cancelled.",
                    };
                    text::failed_briefly(what, &error)
                };
                self.alert_presser(callback_id, &words).await;
                let order = match still {
                    Some((order, _)) => Some(order),
                    None => backends.order(id).await.ok().flatten(),
                };
                (order, Outcome::Refused)
            }
        };
        let drafts = order.map(|order| order_draft(place.chat_id, &order, Some(message_id), Utc::now()));
        Reply { outcome, drafts: drafts.into_iter().collect() }
    }

    /// An order that waits for a yes after one was not taken, and until when: order-service has said why not, and has kept
    /// nothing of it. An answer that did not come, or that says that it took too long, leaves that open.
    async fn still_asked(
        &self,
        id: &DecisionId,
        verdict: Verdict,
        error: &UpstreamError,
    ) -> Option<(TradeOrder, DateTime<Utc>)> {
        let UpstreamErrorKind::Status { status, problem: Some(_), .. } = &error.kind else { return None };
        if verdict != Verdict::Confirm || error.is_refusal() || *status == GATEWAY_TIMEOUT {
            return None;
        }
        let order = self.inner.backends.order(id).await.ok()??;
        let until = order.confirmation.as_ref()?.expires_at;
        (order.awaits_confirmation() && until > Utc::now()).then_some((order, until))
    }
}
