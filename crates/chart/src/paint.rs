//! Puts the picture together.

use std::num::NonZeroU32;

use domain::strategy::technical::{FAST_WINDOW, SLOW_WINDOW};
use rust_decimal::Decimal;

use crate::canvas::{Canvas, LINE_HEIGHT, Weight, text_width};
use crate::layout::{LEGEND_TOP, Layout, MARGIN, MARGIN_SHARE, TITLE_TOP};
use crate::price_axis::PriceScale;
use crate::series::{Bar, Drawn, Line};
use crate::style::{self, Colour};
use crate::{ChartRequest, HEIGHT, WIDTH, figures, time_axis};

/// Width of an average's line in pixels.
const LINE_WIDTH: f32 = 3.0;
/// Of all times in the picture.
const ZONE: &str = "UTC";

/// Length of a dash of the last price's line, and of the room after it.
const DASH: f32 = 10.0;
/// Length of the piece of a line in the legend.
const SAMPLE: f32 = 36.0;
/// Candles from this width on have a wick of three pixels.
const WIDE_BODY: f32 = 9.0;

/// Draws everything; `None` when there is no memory for it.
pub(crate) fn paint(request: &ChartRequest, drawn: &Drawn) -> Option<Canvas> {
    let mut canvas = Canvas::new(WIDTH, HEIGHT, style::BACKGROUND)?;
    let extent = drawn.extent();
    let (extent, margins) = match &request.mark {
        Some(mark) => (mark.widen(extent), mark.margins(drawn)),
        None => (extent, (MARGIN_SHARE, MARGIN_SHARE)),
    };
    let last = figures::price(drawn.last);
    let layout = Layout::new(drawn.slots, PriceScale::new(extent, margins), &last);

    paint_title(&mut canvas, request, drawn);
    paint_legend(&mut canvas, drawn);
    paint_grid(&mut canvas, request, drawn, &layout);
    paint_last_line(&mut canvas, drawn, &layout);
    for bar in &drawn.bars {
        paint_candle(&mut canvas, bar, &layout);
    }
    for (line, colour) in [(&drawn.slow, style::SLOW_AVERAGE), (&drawn.fast, style::FAST_AVERAGE)] {
        let points = line.iter().map(|(slot, value)| (layout.slot_middle(*slot), layout.price(*value)));
        canvas.line(points, LINE_WIDTH, colour);
    }
    paint_last_label(&mut canvas, drawn, &layout, &last);
    if let Some(mark) = &request.mark {
        mark.paint(&mut canvas, drawn, &layout);
    }
    Some(canvas)
}

fn paint_title(canvas: &mut Canvas, request: &ChartRequest, drawn: &Drawn) {
    let name = format!("{} {}", request.series.symbol, request.series.interval);
    let (from, to) = drawn.time_range();
    canvas.text(MARGIN, TITLE_TOP, &name, Weight::Bold, style::TEXT);
    let left = MARGIN + text_width(&name) + 1.5 * MARGIN;
    canvas.text(left, TITLE_TOP, &figures::time_range(from, to), Weight::Regular, style::QUIET_TEXT);
}

fn paint_legend(canvas: &mut Canvas, drawn: &Drawn) {
    let mut left = MARGIN;
    let middle = LEGEND_TOP + LINE_HEIGHT / 2.0;
    let averages = [(FAST_WINDOW, &drawn.fast, style::FAST_AVERAGE), (SLOW_WINDOW, &drawn.slow, style::SLOW_AVERAGE)];
    for (window, line, colour) in averages {
        canvas.line([(left, middle), (left + SAMPLE, middle)], LINE_WIDTH + 1.0, colour);
        left = legend_text(canvas, left, &average_text(window, line));
    }
    paint_dashes(canvas, left, left + SAMPLE, middle);
    legend_text(canvas, left, "last price");
}

/// Writes a text beside its sample, which begins at `left`; returns where the next begins.
fn legend_text(canvas: &mut Canvas, left: f32, text: &str) -> f32 {
    let text_left = left + SAMPLE + 0.5 * MARGIN;
    canvas.text(text_left, LEGEND_TOP, text, Weight::Regular, style::TEXT);
    text_left + text_width(text) + 1.5 * MARGIN
}

fn average_text(window: NonZeroU32, line: &Line) -> String {
    match line.last() {
        Some((_, value)) => format!("SMA {window} {}", figures::price(*value)),
        None => format!("SMA {window} (too few candles)"),
    }
}

fn paint_grid(canvas: &mut Canvas, request: &ChartRequest, drawn: &Drawn, layout: &Layout) {
    let (width, height) = (layout.right - layout.left, layout.bottom - layout.top);
    let last = layout.price(drawn.last);
    for tick in &layout.price_ticks {
        let y = layout.price(tick.price);
        canvas.fill_box(layout.left, y, width, 1.0, style::GRID);
        // The last price stands there, over what would be half a label.
        if (y - last).abs() > LINE_HEIGHT {
            canvas.text(layout.right + MARGIN, y - LINE_HEIGHT / 2.0, &tick.label, Weight::Regular, style::QUIET_TEXT);
        }
    }
    let labels_top = layout.bottom + 0.5 * MARGIN;
    let zone_left = f32::from(WIDTH) - MARGIN - text_width(ZONE);
    let room = text_width("00:00") + 3.0 * MARGIN;
    for tick in time_axis::ticks(drawn, request.series.interval, layout.slot_width, room) {
        let (x, text) = (layout.slot_middle(tick.slot), text_width(&tick.label));
        canvas.fill_box(x - 0.5, layout.top, 1.0, height, style::GRID);
        let left = (x - text / 2.0).min(zone_left - MARGIN - text).max(layout.left);
        canvas.text(left, labels_top, &tick.label, Weight::Regular, style::QUIET_TEXT);
    }
    canvas.text(zone_left, labels_top, ZONE, Weight::Regular, style::QUIET_TEXT);
    canvas.fill_box(layout.left, layout.bottom, width, 2.0, style::FRAME);
    canvas.fill_box(layout.right, layout.top, 2.0, height + 2.0, style::FRAME);
}

fn paint_candle(canvas: &mut Canvas, bar: &Bar, layout: &Layout) {
    let colour = if bar.close < bar.open { style::FALLING } else { style::RISING };
    // An odd width, so that the wick is in the middle.
    let body = (((layout.slot_width - 3.0) / 2.0).floor() * 2.0 + 1.0).max(1.0);
    let wick = if body >= WIDE_BODY { 3.0 } else { 1.0 };
    let middle = layout.slot_middle(bar.slot);
    let mut upright = |width: f32, upper: Decimal, lower: Decimal, least: f32| {
        let (top, bottom) = (layout.price(upper), layout.price(lower));
        canvas.fill_box(middle - width / 2.0, top, width, (bottom - top).max(least), colour);
    };
    upright(wick, bar.high, bar.low, 1.0);
    upright(body, bar.open.max(bar.close), bar.open.min(bar.close), 2.0);
}

fn paint_last_line(canvas: &mut Canvas, drawn: &Drawn, layout: &Layout) {
    paint_dashes(canvas, layout.left, layout.right, layout.price(drawn.last));
}

fn paint_dashes(canvas: &mut Canvas, from: f32, to: f32, y: f32) {
    let starts = std::iter::successors(Some(from), |x| Some(x + 2.0 * DASH)).take_while(|x| *x < to);
    for x in starts {
        canvas.fill_box(x, y - 1.0, DASH.min(to - x), 2.0, style::LAST_PRICE);
    }
}

/// The last price on a dark ground, over the labels of the scale.
fn paint_last_label(canvas: &mut Canvas, drawn: &Drawn, layout: &Layout, last: &str) {
    let top = layout.price(drawn.last) - LINE_HEIGHT / 2.0;
    let ground: Colour = style::LAST_PRICE;
    canvas.fill_box(layout.right, top - 1.0, f32::from(WIDTH) - layout.right, LINE_HEIGHT + 2.0, ground);
    canvas.text(layout.right + MARGIN, top, last, Weight::Bold, style::BACKGROUND);
}
