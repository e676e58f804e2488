//! Colours. Meanings differ in lightness too, not in hue alone.

/// Red, green, blue, each 0 to 255; nothing is seen through.
pub(crate) type Colour = [u8; 3];

pub(crate) const BACKGROUND: Colour = [0xff, 0xff, 0xff];
pub(crate) const GRID: Colour = [0xe3, 0xe7, 0xea];
pub(crate) const FRAME: Colour = [0x9a, 0xa5, 0xad];
pub(crate) const TEXT: Colour = [0x1c, 0x23, 0x28];
pub(crate) const QUIET_TEXT: Colour = [0x52, 0x5e, 0x66];

pub(crate) const RISING: Colour = [0x2b, 0xb0, 0x9a];
pub(crate) const FALLING: Colour = [0xd9, 0x3a, 0x3f];

pub(crate) const FAST_AVERAGE: Colour = [0x0b, 0x4f, 0xc9];
pub(crate) const SLOW_AVERAGE: Colour = [0xe8, 0x86, 0x00];
pub(crate) const LAST_PRICE: Colour = [0x3c, 0x46, 0x4d];

pub(crate) const BUY: Colour = [0x00, 0x5f, 0x36];
pub(crate) const SELL: Colour = [0x8e, 0x06, 0x30];
pub(crate) const HOLD: Colour = [0x5b, 0x2b, 0x93];
