//! What the tools print on: colour only for a person at a terminal, lines no wider than it is.

use std::io::{self, IsTerminal as _, Write};

/// Columns where there is no terminal that tells.
const DEFAULT_WIDTH: usize = 100;
/// Wider lines are no easier to read.
const MOST_WIDTH: usize = 160;
/// Narrower than this nothing useful fits beside a name.
const LEAST_WIDTH: usize = 40;

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// It is well.
    Good,
    /// It is broken.
    Bad,
    /// It is worth a look.
    Warn,
    /// It is there for whoever looks closely.
    Dim,
    /// It is what one looks for.
    Bold,
}

/// Standard output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    colour: bool,
    width: usize,
}

impl Terminal {
    /// Standard output as it is: a terminal or not, with `NO_COLOR` (no-color.org) or without.
    pub(crate) fn stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let width = if is_terminal { columns() } else { None };
        Self {
            colour: is_terminal && !no_colour && !dumb,
            width: width.unwrap_or(DEFAULT_WIDTH).clamp(LEAST_WIDTH, MOST_WIDTH),
        }
    }

    /// No colour, so many columns.
    #[cfg(test)]
    pub(crate) const fn plain(width: usize) -> Self {
        Self { colour: false, width }
    }

    /// Columns of a line.
    pub(crate) const fn width(self) -> usize {
        self.width
    }

    /// The text in the colour of its meaning.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let code = match style {
            Style::Good => "32",
            Style::Bad => "31",
            Style::Warn => "33",
            Style::Dim => "2",
            Style::Bold => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// Prints a line, or several.
    ///
    /// # Errors
    /// When standard output cannot be written, except that a reader who has gone (`| head`) is no error.
    pub(crate) fn line(self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }
}

/// Prints a line on standard error, for what must not mix with a tool's output.
pub(crate) fn complain(text: &str) {
    // Nobody is left to tell when standard error is closed; the exit code still says it.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col))
}

/// Text of others without control characters, which could move the cursor or change the colour.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The text broken between words into lines of at most so many characters; a longer word stands alone.
pub(crate) fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The text in at most so many characters, the last one `…` where something is left out.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Microseconds in the unit in which a person reads them.
pub(crate) fn micros(us: u64) -> String {
    // Tenths by integer arithmetic, rounded half up.
    let tenths = |unit_us: u64| {
        let tenths = us.saturating_mul(10).saturating_add(unit_us / 2) / unit_us;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..999_950 => format!("{} ms", tenths(1_000)),
        _ => format!("{} s", tenths(1_000_000)),
    }
}

/// Milliseconds in the unit in which a person reads them.
pub(crate) fn millis(ms: u64) -> String {
    if ms < 1_000 { format!("{ms} ms") } else { micros(ms.saturating_mul(1_000)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_only_where_it_is_seen() {
        let plain = Terminal::plain(80);
        assert_eq!(plain.paint(Style::Bad, "no"), "no");
        let coloured = Terminal { colour: true, width: 80 };
        assert_eq!(coloured.paint(Style::Bad, "no"), "\u{1b}[31mno\u{1b}[0m");
        assert_eq!(coloured.paint(Style::Bad, ""), "");
    }

    #[test]
    fn others_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{9b}d"), "a [2Jb c d");
    }

    #[test]
    fn long_text_is_shortened_by_characters() {
        assert_eq!(shortened("übermut", 7), "übermut");
        assert_eq!(shortened("übermut", 4), "übe…");
        assert_eq!(shortened("x", 0), "…");
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("", 10), Vec::<String>::new());
        assert_eq!(wrapped("the two have not crossed", 8), ["the two", "have not", "crossed"]);
        assert_eq!(wrapped("a verylongword b", 5), ["a", "verylongword", "b"]);
    }

    #[test]
    fn times_are_rounded_in_their_unit() {
        let cases = [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.0 ms"),
            (1_249, "1.2 ms"),
            (1_250, "1.3 ms"),
            (999_949, "999.9 ms"),
        ];
        for (us, text) in cases {
            assert_eq!(micros(us), text);
        }
        assert_eq!(micros(999_950), "1.0 s");
        assert_eq!(micros(12_340_000), "12.3 s");
        assert_eq!((millis(12), millis(1_500)), ("12 ms".to_owned(), "1.5 s".to_owned()));
    }
}
