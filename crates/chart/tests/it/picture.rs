//! A picture read back.

use std::io::Cursor;

/// Its pixels.
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    rgb: Vec<u8>,
}

impl Picture {
    pub(crate) fn of(file: &[u8]) -> Self {
        let mut reader = png::Decoder::new(Cursor::new(file)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
        Self { width: info.width.try_into().unwrap(), height: info.height.try_into().unwrap(), rgb }
    }

    /// Where a colour is, as columns and rows.
    pub(crate) fn all(&self, colour: [u8; 3]) -> Vec<(usize, usize)> {
        let pixels = self.rgb.chunks_exact(3).enumerate();
        pixels
            .filter(|(_, pixel)| *pixel == colour)
            .map(|(index, _)| (index % self.width, index / self.width))
            .collect()
    }

    /// Where a colour is in the plot: above it are title and legend, which have samples of the averages' colours.
    pub(crate) fn plot(&self, colour: [u8; 3]) -> Vec<(usize, usize)> {
        self.all(colour).into_iter().filter(|(_, y)| *y >= super::PLOT_TOP).collect()
    }

    /// The column that has most of a colour.
    pub(crate) fn fullest_column(&self, colour: [u8; 3]) -> usize {
        let mut counts = vec![0; self.width];
        for (x, _) in self.all(colour) {
            counts[x] += 1;
        }
        (0..self.width).max_by_key(|x| counts[*x]).unwrap()
    }
}
