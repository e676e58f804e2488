//! `parse_mode: HTML`, with the rules and error texts of TDLib's parser (`td/telegram/MessageEntity.cpp`).

use super::text::{Entity, Formatted};

const TAGS: [&str; 16] = [
    "a",
    "b",
    "strong",
    "i",
    "em",
    "s",
    "strike",
    "del",
    "u",
    "ins",
    "tg-spoiler",
    "tg-emoji",
    "span",
    "pre",
    "code",
    "blockquote",
];

struct Open {
    tag: String,
    argument: String,
    offset: usize,
    /// Where its text begins in the result, in bytes.
    begin: usize,
}

struct Parser<'a> {
    input: &'a [u8],
    position: usize,
    text: Vec<u8>,
    /// Length of `text` in UTF-16 code units.
    offset: usize,
    open: Vec<Open>,
    entities: Vec<Entity>,
}

/// Parses a text with tags.
///
/// # Errors
/// Telegram's own sentence, without the "Bad Request: can't parse entities: " before it.
pub(super) fn parse(input: &str) -> Result<Formatted, String> {
    let mut parser = Parser {
        input: input.as_bytes(),
        position: 0,
        text: Vec::new(),
        offset: 0,
        open: Vec::new(),
        entities: Vec::new(),
    };
    while parser.position < parser.input.len() {
        parser.step()?;
    }
    if let Some(open) = parser.open.last() {
        return Err(format!("Can't find end tag corresponding to start tag \"{}\"", open.tag));
    }
    let text = String::from_utf8(parser.text).map_err(|_| "Text must be encoded in UTF-8".to_owned())?;
    let mut entities = parser.entities;
    for entity in &mut entities {
        if entity.kind == "code" {
            entity.language = None;
        }
    }
    entities.sort_by(|a, b| a.offset.cmp(&b.offset).then(b.length.cmp(&a.length)));
    Ok(Formatted { text, entities })
}

impl Parser<'_> {
    /// The byte at a place, 0 behind the end.
    fn at(&self, position: usize) -> u8 {
        self.input.get(position).copied().unwrap_or_default()
    }

    fn here(&self) -> u8 {
        self.at(self.position)
    }

    fn skip_spaces(&mut self) {
        while self.here().is_ascii_whitespace() {
            self.position += 1;
        }
    }

    fn slice(&self, from: usize, to: usize) -> String {
        String::from_utf8_lossy(self.input.get(from..to).unwrap_or_default()).into_owned()
    }

    fn step(&mut self) -> Result<(), String> {
        match self.here() {
            b'&' => match self.character_reference() {
                Some(character) => self.push(character),
                None => self.push_byte(b'&'),
            },
            b'<' if self.at(self.position + 1) == b'/' => return self.end_tag(),
            b'<' => return self.start_tag(),
            byte => self.push_byte(byte),
        }
        Ok(())
    }

    fn push(&mut self, character: char) {
        let mut buffer = [0; 4];
        self.text.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
        self.offset += character.len_utf16();
    }

    fn push_byte(&mut self, byte: u8) {
        self.text.push(byte);
        self.position += 1;
        // Only the first byte of a character counts; one of four bytes is a surrogate pair.
        if byte & 0b1100_0000 != 0b1000_0000 {
            self.offset += 1 + usize::from(byte >= 0xf0);
        }
    }

    /// `&lt;`, `&gt;`, `&amp;`, `&quot;` and numbers; everything else stays as it is written.
    fn character_reference(&mut self) -> Option<char> {
        let begin = self.position;
        let mut end = begin + 1;
        let code = if self.at(end) == b'#' {
            end += 1;
            let radix = if self.at(end) == b'x' {
                end += 1;
                16
            } else {
                10
            };
            let digits = end;
            while char::from(self.at(end)).is_digit(radix) {
                end += 1;
            }
            if end - begin >= 10 {
                return None;
            }
            char::from_u32(u32::from_str_radix(&self.slice(digits, end), radix).ok()?).filter(|code| *code != '\0')?
        } else {
            while self.at(end).is_ascii_alphabetic() {
                end += 1;
            }
            match self.slice(begin + 1, end).as_str() {
                "lt" => '<',
                "gt" => '>',
                "amp" => '&',
                "quot" => '"',
                _ => return None,
            }
        };
        self.position = end + usize::from(self.at(end) == b';');
        Some(code)
    }

    fn start_tag(&mut self) -> Result<(), String> {
        let begin = self.position;
        self.position += 1;
        let name = self.position;
        while !self.here().is_ascii_whitespace() && !matches!(self.here(), b'>' | 0) {
            self.position += 1;
        }
        if self.here() == 0 {
            return Err(format!("Unclosed start tag at byte offset {begin}"));
        }
        let tag = self.slice(name, self.position).to_lowercase();
        if !TAGS.contains(&tag.as_str()) {
            return Err(format!("Unsupported start tag \"{tag}\" at byte offset {begin}"));
        }
        let mut argument = String::new();
        while self.here() != b'>' {
            self.skip_spaces();
            if self.here() == b'>' {
                break;
            }
            self.attribute(&tag, begin, &mut argument)?;
        }
        self.position += 1;
        if tag == "span" && argument != "spoiler" {
            return Err(format!("Tag \"span\" must have class \"tg-spoiler\" at byte offset {begin}"));
        }
        self.open.push(Open { tag, argument, offset: self.offset, begin: self.text.len() });
        Ok(())
    }

    fn attribute(&mut self, tag: &str, begin: usize, argument: &mut String) -> Result<(), String> {
        let name = self.position;
        while !self.here().is_ascii_whitespace() && !matches!(self.here(), b'=' | b'>' | b'/' | b'"' | b'\'' | 0) {
            self.position += 1;
        }
        let name = self.slice(name, self.position);
        if name.is_empty() {
            return Err(format!("Empty attribute name in the tag \"{tag}\" at byte offset {begin}"));
        }
        self.skip_spaces();
        if self.here() != b'=' {
            if self.here() == 0 {
                return Err(format!("Unclosed start tag \"{tag}\" at byte offset {begin}"));
            }
            if tag == "blockquote" && name == "expandable" {
                "1".clone_into(argument);
            }
            return Ok(());
        }
        self.position += 1;
        self.skip_spaces();
        if self.here() == 0 {
            return Err(format!("Unclosed start tag \"{tag}\" at byte offset {begin}"));
        }
        let value = self.attribute_value()?;
        if self.here() == 0 {
            return Err(format!("Unclosed start tag at byte offset {begin}"));
        }
        match (tag, name.as_str()) {
            ("a", "href") | ("tg-emoji", "emoji-id") => *argument = value,
            ("code", "class") => {
                if let Some(language) = value.strip_prefix("language-") {
                    language.clone_into(argument);
                }
            }
            ("span", "class") => {
                if let Some(class) = value.strip_prefix("tg-") {
                    class.clone_into(argument);
                }
            }
            ("blockquote", "expandable") => "1".clone_into(argument),
            _ => {}
        }
        Ok(())
    }

    fn attribute_value(&mut self) -> Result<String, String> {
        let quote = self.here();
        if !matches!(quote, b'\'' | b'"') {
            let begin = self.position;
            while self.here().is_ascii_alphanumeric() || matches!(self.here(), b'.' | b'-') {
                self.position += 1;
            }
            if !self.here().is_ascii_whitespace() && self.here() != b'>' {
                return Err(format!("Unexpected end of name token at byte offset {begin}"));
            }
            return Ok(self.slice(begin, self.position).to_lowercase());
        }
        self.position += 1;
        let mut value = Vec::new();
        while self.here() != quote && self.here() != 0 {
            if self.here() == b'&'
                && let Some(character) = self.character_reference()
            {
                let mut buffer = [0; 4];
                value.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                continue;
            }
            value.push(self.here());
            self.position += 1;
        }
        if self.here() == quote {
            self.position += 1;
        }
        Ok(String::from_utf8_lossy(&value).into_owned())
    }

    fn end_tag(&mut self) -> Result<(), String> {
        let begin = self.position;
        let Some(open) = self.open.pop() else {
            return Err(format!("Unexpected end tag at byte offset {begin}"));
        };
        self.position += 2;
        let name = self.position;
        while !self.here().is_ascii_whitespace() && !matches!(self.here(), b'>' | 0) {
            self.position += 1;
        }
        let tag = self.slice(name, self.position).to_lowercase();
        self.skip_spaces();
        if self.here() != b'>' {
            return Err(format!("Unclosed end tag at byte offset {begin}"));
        }
        self.position += 1;
        if !tag.is_empty() && tag != open.tag {
            return Err(format!(
                "Unmatched end tag at byte offset {begin}, expected \"</{}>\", found \"</{tag}>\"",
                open.tag
            ));
        }
        if self.offset > open.offset {
            self.close(open);
        }
        Ok(())
    }

    fn close(&mut self, open: Open) {
        let length = self.offset - open.offset;
        let entity =
            |kind: &str| Entity { kind: kind.to_owned(), offset: open.offset, length, url: None, language: None };
        let spans_the_same = |last: &Entity| last.offset == open.offset && last.length == length;
        let entity = match open.tag.as_str() {
            "b" | "strong" => entity("bold"),
            "i" | "em" => entity("italic"),
            "s" | "strike" | "del" => entity("strikethrough"),
            "u" | "ins" => entity("underline"),
            "tg-spoiler" | "span" => entity("spoiler"),
            "blockquote" if open.argument.is_empty() => entity("blockquote"),
            "blockquote" => entity("expandable_blockquote"),
            "a" => {
                let shown = self.text.get(open.begin..).map(|text| String::from_utf8_lossy(text).into_owned());
                let url = if open.argument.is_empty() { shown.unwrap_or_default() } else { open.argument };
                // A link that leads nowhere is plain text.
                let Some(url) = checked_link(&url) else { return };
                Entity { url: Some(url), ..entity("text_link") }
            }
            // <pre><code class="language-x"> is one block in language x, whichever is outside.
            "pre" => match self.entities.last_mut() {
                Some(last) if last.kind == "code" && spans_the_same(last) && last.language.is_some() => {
                    "pre".clone_into(&mut last.kind);
                    return;
                }
                _ => entity("pre"),
            },
            "code" => {
                let language = (!open.argument.is_empty()).then_some(open.argument);
                match self.entities.last_mut() {
                    Some(last) if last.kind == "pre" && spans_the_same(last) && language.is_some() => {
                        last.language = language;
                        return;
                    }
                    _ => Entity { language, ..entity("code") },
                }
            }
            // A custom emoji needs a premium bot: its stand-in character stays.
            _ => return,
        };
        self.entities.push(entity);
    }
}

/// The link as Telegram keeps it: with a scheme, to a host.
fn checked_link(link: &str) -> Option<String> {
    let link = link.trim();
    let full = if link.contains("://") || link.starts_with("tg:") || link.starts_with("mailto:") {
        link.to_owned()
    } else {
        format!("http://{link}")
    };
    let url = url::Url::parse(&full).ok()?;
    match url.scheme() {
        // "http://localhost" and bare words are no links to Telegram; an address is.
        "http" | "https" => {
            url.host_str().filter(|host| host.contains(['.', ':']) || *host == "localhost").map(|_| url.to_string())
        }
        "tg" | "ton" => Some(url.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
