//! Where things are in the picture, in pixels.

use rust_decimal::Decimal;
use rust_decimal_macros::dec;

use crate::canvas::{LINE_HEIGHT, text_width};
use crate::price_axis::{PriceScale, Tick};
use crate::{HEIGHT, WIDTH};

/// Room around everything.
pub(crate) const MARGIN: f32 = 16.0;
/// Upper edge of the first and second line of text.
pub(crate) const TITLE_TOP: f32 = 12.0;
pub(crate) const LEGEND_TOP: f32 = 52.0;

/// Share of the prices' span that stays free above them and below.
pub(crate) const MARGIN_SHARE: Decimal = dec!(0.05);

/// The plot: its edges, and its scales.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) left: f32,
    pub(crate) right: f32,
    pub(crate) top: f32,
    pub(crate) bottom: f32,
    /// Width of a slot in whole pixels, so that every candle looks the same.
    pub(crate) slot_width: f32,
    slots: u16,
    pub(crate) scale: PriceScale,
    pub(crate) price_ticks: Vec<Tick>,
}

impl Layout {
    /// A plot of so many slots with room for these prices and this text (the last price) beside it.
    pub(crate) fn new(slots: u16, scale: PriceScale, last: &str) -> Self {
        let price_ticks = scale.ticks();
        let labels = price_ticks.iter().map(|tick| tick.label.as_str());
        let widest = labels.chain([last]).map(text_width).fold(0.0, f32::max);
        let left = MARGIN;
        let right = (f32::from(WIDTH) - widest - 2.0 * MARGIN).max(f32::from(WIDTH) / 2.0);
        Self {
            left,
            right,
            top: LEGEND_TOP + LINE_HEIGHT + MARGIN,
            bottom: f32::from(HEIGHT) - LINE_HEIGHT - 1.5 * MARGIN,
            slot_width: ((right - left) / f32::from(slots)).floor().max(1.0),
            slots,
            scale,
            price_ticks,
        }
    }

    /// Left edge of a slot. The last one ends at the right edge of the plot.
    pub(crate) fn slot_left(&self, slot: u16) -> f32 {
        self.right.floor() - self.slot_width * f32::from(self.slots.saturating_sub(slot))
    }

    /// Middle of a slot.
    pub(crate) fn slot_middle(&self, slot: u16) -> f32 {
        self.slot_left(slot) + (self.slot_width / 2.0).floor() + 0.5
    }

    /// Height of a price in the picture.
    pub(crate) fn price(&self, price: Decimal) -> f32 {
        self.bottom - self.scale.share(price) * (self.bottom - self.top)
    }
}
