//! Pictures that the bot sends.

use bytes::Bytes;

/// Telegram's limit for a photo.
pub(super) const MOST_PHOTO_BYTES: usize = 10 * 1024 * 1024;

/// An uploaded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Photo {
    pub(super) file_id: String,
    pub(crate) media_type: &'static str,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(crate) bytes: Bytes,
}

/// Media type, width and height of a PNG or JPEG; `None` for anything else.
pub(super) fn measure(bytes: &[u8]) -> Option<(&'static str, u32, u32)> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        let number = |from: usize| Some(u32::from_be_bytes(bytes.get(from..from + 4)?.try_into().ok()?));
        return Some(("image/png", number(16)?, number(20)?));
    }
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return None;
    }
    // JPEG: the size stands in the first start-of-frame segment.
    let mut position = 2;
    loop {
        let [0xff, marker] = *bytes.get(position..position + 2)? else { return None };
        let number = |from: usize| Some(u16::from_be_bytes(bytes.get(from..from + 2)?.try_into().ok()?));
        let length = number(position + 2)?;
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            return Some(("image/jpeg", number(position + 7)?.into(), number(position + 5)?.into()));
        }
        position += 2 + usize::from(length.max(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn png_and_jpeg_are_measured_and_others_refused() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend([0, 0, 3, 32, 0, 0, 1, 144]);
        assert_eq!(measure(&png), Some(("image/png", 800, 400)));
        let jpeg = [0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0, 0xff, 0xc0, 0, 8, 8, 0, 100, 0, 200, 3];
        assert_eq!(measure(&jpeg), Some(("image/jpeg", 200, 100)));
        assert_eq!(measure(b"\x89PNG\r\n\x1a\n"), None);
        assert_eq!(measure(b"GIF89a"), None);
        assert_eq!(measure(&[0xff, 0xd8, 0xff]), None);
    }
}
