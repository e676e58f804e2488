//! A canvas of pixels: boxes, lines, polygons, text, and how it becomes a PNG.
//!
//! What stands upright (candles, grid) is drawn in whole pixels and stays sharp; what is oblique is smoothed. Every pixel
//! is opaque from the first to the last, which keeps text a plain mixture of two colours.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use tiny_skia::{FillRule, LineCap, LineJoin, Paint, PathBuilder, Pixmap, Rect, Stroke, Transform};

use crate::style::Colour;

/// Height of a line of text in pixels.
pub(crate) const LINE_HEIGHT: f32 = 32.0;
const FONT_SIZE: RasterHeight = RasterHeight::Size32;

/// Weight of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

impl Weight {
    const fn of_font(self) -> FontWeight {
        match self {
            Self::Regular => FontWeight::Regular,
            Self::Bold => FontWeight::Bold,
        }
    }
}

/// How wide a text is, in pixels: every character takes the same room.
pub(crate) fn text_width(text: &str) -> f32 {
    small(text.chars().count()) * small(get_raster_width(FontWeight::Regular, FONT_SIZE))
}

/// A number of pixels or characters; what is beyond any picture stays there.
fn small(count: usize) -> f32 {
    f32::from(u16::try_from(count).unwrap_or(u16::MAX))
}

/// The picture while it is made.
pub(crate) struct Canvas {
    pixels: Pixmap,
}

impl Canvas {
    /// An empty one; `None` when there is no memory for it.
    pub(crate) fn new(width: u16, height: u16, background: Colour) -> Option<Self> {
        let mut pixels = Pixmap::new(width.into(), height.into())?;
        let [red, green, blue] = background;
        pixels.fill(tiny_skia::Color::from_rgba8(red, green, blue, u8::MAX));
        Some(Self { pixels })
    }

    /// A filled box with its upper left corner at `(x, y)`, in whole pixels; at least one pixel wide and high.
    pub(crate) fn fill_box(&mut self, x: f32, y: f32, width: f32, height: f32, colour: Colour) {
        // No box is made of numbers that are none: there is nothing to be seen of it then.
        if let Some(rect) = Rect::from_xywh(x.round(), y.round(), width.round().max(1.0), height.round().max(1.0)) {
            self.pixels.fill_rect(rect, &paint(colour, false), Transform::identity(), None);
        }
    }

    /// A smooth line through all these points.
    pub(crate) fn line(&mut self, points: impl IntoIterator<Item = (f32, f32)>, width: f32, colour: Colour) {
        let mut path = PathBuilder::new();
        for (x, y) in points {
            if path.is_empty() { path.move_to(x, y) } else { path.line_to(x, y) }
        }
        // A line of one point has no path.
        if let Some(path) = path.finish() {
            let stroke = Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
            self.pixels.stroke_path(&path, &paint(colour, true), &stroke, Transform::identity(), None);
        }
    }

    /// A filled triangle.
    pub(crate) fn triangle(&mut self, corners: [(f32, f32); 3], colour: Colour) {
        let [(x, y), second, third] = corners;
        let mut path = PathBuilder::new();
        path.move_to(x, y);
        path.line_to(second.0, second.1);
        path.line_to(third.0, third.1);
        path.close();
        if let Some(path) = path.finish() {
            self.pixels.fill_path(&path, &paint(colour, true), FillRule::Winding, Transform::identity(), None);
        }
    }

    /// One line of text with its upper left corner at `(x, y)`; what does not fit on the canvas is cut off, and a
    /// question mark stands for what the font does not have.
    pub(crate) fn text(&mut self, x: f32, y: f32, text: &str, weight: Weight, colour: Colour) {
        let (left, top) = (whole(x), whole(y));
        let advance = get_raster_width(weight.of_font(), FONT_SIZE);
        for (place, character) in text.chars().enumerate() {
            let glyph = get_raster(character, weight.of_font(), FONT_SIZE)
                .or_else(|| get_raster('?', weight.of_font(), FONT_SIZE));
            for (row, coverages) in glyph.iter().flat_map(|glyph| glyph.rows().enumerate()) {
                for (column, coverage) in coverages.iter().enumerate() {
                    self.mix(shifted(left, place * advance + column), shifted(top, row), colour, *coverage);
                }
            }
        }
    }

    /// Lays a colour over one pixel, if that is on the canvas.
    fn mix(&mut self, x: Option<usize>, y: Option<usize>, colour: Colour, coverage: u8) {
        let width = usize::try_from(self.pixels.width()).unwrap_or(0);
        let (Some(x), Some(y)) = (x.filter(|x| *x < width && coverage > 0), y) else { return };
        let at = (y.saturating_mul(width).saturating_add(x)).saturating_mul(CHANNELS);
        let Some(pixel) = self.pixels.data_mut().get_mut(at..at.saturating_add(colour.len())) else { return };
        for (below, above) in pixel.iter_mut().zip(colour) {
            let (full, share) = (u16::from(u8::MAX), u16::from(coverage));
            let mixed = (u16::from(above) * share + u16::from(*below) * (full - share) + full / 2) / full;
            *below = u8::try_from(mixed).unwrap_or(u8::MAX);
        }
    }

    /// The picture as PNG.
    pub(crate) fn into_png(self) -> Result<Vec<u8>, png::EncodingError> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.pixels.width(), self.pixels.height());
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Balanced);
        let mut writer = encoder.write_header()?;
        // All is opaque: without the fourth channel nothing is lost.
        let rgb: Vec<u8> =
            self.pixels.data().chunks_exact(CHANNELS).flat_map(|pixel| pixel.iter().take(3).copied()).collect();
        writer.write_image_data(&rgb)?;
        writer.finish()?;
        Ok(file)
    }
}

/// Bytes of a pixel while it is drawn.
const CHANNELS: usize = 4;

fn paint(colour: Colour, smooth: bool) -> Paint<'static> {
    let [red, green, blue] = colour;
    let mut paint = Paint { anti_alias: smooth, ..Paint::default() };
    paint.set_color_rgba8(red, green, blue, u8::MAX);
    paint
}

/// A place so many pixels further right or down; `None` left of the canvas or above it.
fn shifted(from: i32, by: usize) -> Option<usize> {
    by.checked_add_signed(isize::try_from(from).ok()?)
}

/// A place on the canvas in whole pixels; what is beyond every canvas stays there.
#[expect(clippy::cast_possible_truncation, reason = "of a float this cast keeps to the range: it is what is wanted")]
fn whole(position: f32) -> i32 {
    position.round() as i32
}
