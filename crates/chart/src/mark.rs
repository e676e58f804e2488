//! The one thing that a chart points at: a decision, or an order that was filled.

use chrono::{DateTime, Utc};
use domain::Action;
use domain::trading::Side;
use rust_decimal::Decimal;
use rust_decimal_macros::dec;

use crate::canvas::{Canvas, LINE_HEIGHT, Weight, text_width};
use crate::figures;
use crate::layout::{Layout, MARGIN, MARGIN_SHARE};
use crate::series::{Drawn, Place};
use crate::style::{self, Colour};

/// Most characters of a label.
const MAX_LABEL: usize = 40;

/// Width and height of a triangle in pixels.
const SIZE: f32 = 24.0;
/// Room between candle, triangle and label.
const GAP: f32 = 6.0;

/// Share of the prices' span that stays free on the side where the label is: it covers no candle.
const LABEL_SHARE: Decimal = dec!(0.16);

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkKind {
    /// Points up from below the candle.
    Buy,
    /// Points down from above the candle.
    Sell,
    /// Points at the price from the right.
    Hold,
}

impl From<Action> for MarkKind {
    fn from(action: Action) -> Self {
        match action {
            Action::Buy => Self::Buy,
            Action::Sell => Self::Sell,
            Action::Hold => Self::Hold,
        }
    }
}

impl From<Side> for MarkKind {
    fn from(side: Side) -> Self {
        match side {
            Side::Buy => Self::Buy,
            Side::Sell => Self::Sell,
        }
    }
}

/// A mark on the candle that its time belongs to.
///
/// When that is outside of what is drawn, the label stands at the edge, with the time and that it is before or after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: DateTime<Utc>,
    /// At which price, in the quote currency.
    pub price: Decimal,
    /// Which way it points, and its colour.
    pub kind: MarkKind,
    /// What is written at it: 40 characters at most are shown, `BUY 0.002 at 46,224.00`.
    pub label: String,
}

impl Mark {
    const fn colour(&self) -> Colour {
        match self.kind {
            MarkKind::Buy => style::BUY,
            MarkKind::Sell => style::SELL,
            MarkKind::Hold => style::HOLD,
        }
    }

    /// The prices that the scale should have so that the mark is at its own; what is further away than the candles
    /// are high is drawn at the edge rather than make them flat.
    pub(crate) fn widen(&self, (low, high): (Decimal, Decimal)) -> (Decimal, Decimal) {
        let span = high - low;
        (low.min(self.price.max(low - span)).max(Decimal::ZERO), high.max(self.price.min(high + span)))
    }

    /// Shares of the prices' span to leave free below and above.
    pub(crate) fn margins(&self, drawn: &Drawn) -> (Decimal, Decimal) {
        match (self.kind, drawn.place(self.at)) {
            (MarkKind::Buy, Place::At(_)) => (LABEL_SHARE, MARGIN_SHARE),
            _ => (MARGIN_SHARE, LABEL_SHARE),
        }
    }

    /// Draws it.
    pub(crate) fn paint(&self, canvas: &mut Canvas, drawn: &Drawn, layout: &Layout) {
        match drawn.place(self.at) {
            Place::At(slot) => self.paint_at(canvas, drawn, layout, slot),
            Place::Before => self.paint_outside(canvas, layout, "before"),
            Place::After => self.paint_outside(canvas, layout, "after"),
        }
    }

    fn paint_at(&self, canvas: &mut Canvas, drawn: &Drawn, layout: &Layout, slot: u16) {
        let (x, y, colour) = (layout.slot_middle(slot), layout.price(self.price), self.colour());
        // What of the candle must stay to be seen.
        let (highest, lowest) =
            drawn.bar(slot).map_or((y, y), |bar| (layout.price(bar.high).min(y), layout.price(bar.low).max(y)));
        let (half, level) = (SIZE / 2.0, layout.slot_width.max(9.0) + 8.0);
        let (at_top, at_bottom) = (layout.top + GAP, layout.bottom - GAP - LINE_HEIGHT);

        canvas.fill_box(x - level / 2.0, y - 1.0, level, 3.0, colour);
        // The tip, the two other corners, and where the line to the label begins.
        let (tip, base, line_from, label_top) = match self.kind {
            MarkKind::Buy => {
                let (tip, base) = (lowest + GAP, lowest + GAP + SIZE);
                ((x, tip), [(x - half, base), (x + half, base)], base, at_bottom)
            }
            MarkKind::Sell => {
                let (tip, base) = (highest - GAP, highest - GAP - SIZE);
                ((x, tip), [(x - half, base), (x + half, base)], base, at_top)
            }
            MarkKind::Hold => {
                // From the other side where there is no room for it.
                let away = if x + level / 2.0 + GAP + SIZE <= layout.right { 1.0 } else { -1.0 };
                let tip = x + away * (level / 2.0 + GAP);
                let base = tip + away * SIZE;
                ((tip, y), [(base, y - half), (base, y + half)], highest - GAP, at_top)
            }
        };
        let label = shown(&self.label);
        if !label.is_empty() {
            let to = label_top + LINE_HEIGHT / 2.0;
            canvas.fill_box(x - 0.5, line_from.min(to), 1.0, (to - line_from).abs(), colour);
        }
        canvas.triangle([tip, base[0], base[1]], colour);
        paint_label(canvas, layout, &label, (x - text_width(&label) / 2.0, label_top), colour);
    }

    fn paint_outside(&self, canvas: &mut Canvas, layout: &Layout, word: &str) {
        let text = format!("{}  {} UTC, {word} this chart", shown(&self.label), figures::minute(self.at));
        let left = if word == "before" { layout.left } else { layout.right };
        paint_label(canvas, layout, &text, (left, layout.top + GAP), self.colour());
    }
}

/// Writes a label at this height, as near to this left edge as the plot allows.
fn paint_label(canvas: &mut Canvas, layout: &Layout, text: &str, (left, top): (f32, f32), colour: Colour) {
    if text.is_empty() {
        return;
    }
    let width = text_width(text);
    let left = left.min(layout.right - MARGIN - width).max(layout.left + MARGIN);
    canvas.fill_box(left - GAP, top, width + 2.0 * GAP, LINE_HEIGHT, style::BACKGROUND);
    canvas.text(left, top, text, Weight::Bold, colour);
}

/// A label in one line, cut where it is too long.
fn shown(label: &str) -> String {
    let words: Vec<&str> = label.split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() <= MAX_LABEL {
        return line;
    }
    line.chars().take(MAX_LABEL - 3).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_one_line_of_bounded_length() {
        assert_eq!(shown(" BUY\n 0.002 "), "BUY 0.002");
        assert_eq!(shown(&"\u{e4}".repeat(40)), "\u{e4}".repeat(40));
        assert_eq!(shown(&"x".repeat(41)), format!("{}...", "x".repeat(37)));
    }
}
