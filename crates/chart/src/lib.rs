//! Price charts as pictures: candles, the two averages that the technical strategy goes by, and one mark.
//!
//! [`draw`] is a pure function: the same request gives the same bytes. It needs no font of the system, no display and
//! no network. It computes for tens of milliseconds, so a service calls it on a thread that may block.

mod canvas;
mod error;
mod figures;
mod layout;
mod mark;
mod paint;
mod price_axis;
mod series;
mod style;
mod time_axis;

pub use error::ChartError;
pub use mark::{Mark, MarkKind};
pub use series::MAX_DRAWN;

use domain::CandleSeries;

/// Width of a picture in pixels: Telegram shows a photo's longer side with at most 1280.
pub const WIDTH: u16 = 1280;
/// Height of a picture in pixels.
pub const HEIGHT: u16 = 720;

/// What is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartRequest {
    /// The candles, oldest first. The last [`MAX_DRAWN`] are drawn; those before them serve the averages, so that with
    /// `domain::strategy::technical::SLOW_WINDOW` more of them both averages are complete.
    pub series: CandleSeries,
    /// What happened at one of them.
    pub mark: Option<Mark>,
}

/// Draws a chart of [`WIDTH`] times [`HEIGHT`] pixels and returns it as PNG.
///
/// # Errors
/// When there is no candle, when a price is none, when the candles are not ordered by time.
pub fn draw(request: &ChartRequest) -> Result<Vec<u8>, ChartError> {
    let drawn = series::Drawn::read(&request.series.candles, request.series.interval)?;
    let canvas = paint::paint(request, &drawn).ok_or(ChartError::NoMemory)?;
    Ok(canvas.into_png()?)
}
