//! What happened, line by line in a file, so that a restart of the simulator changes nothing.
//!
//! A line is a [`Change`] as JSON. It is handed to the operating system before anybody is told of it: it survives the end
//! of this process, not that of the machine. The file is written anew when it has grown.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::state::{Change, State};

/// Name of the file in the data folder.
const NAME: &str = "bingx.jsonl";
/// Lines after which the file is written anew, beside those that it begins with.
const MOST_LINES: usize = 10_000;

/// Why the file cannot be used, in a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The folder or the file cannot be read or written.
    #[error("SIMULATOR_DATA_DIR: cannot use {path}: {source}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line in the middle is damaged: nobody knows what it said.
    #[error("{path}, line {line}, cannot be read ({reason}); delete the file to begin with a new paper account", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// The file, or nothing when nothing is kept.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Lines since it was written anew.
    lines: usize,
}

impl Journal {
    /// Opens the file in a folder, which is made if it is not there, and makes `state` what it says.
    pub(super) fn open(folder: &Path, state: &mut State) -> Result<Self, JournalError> {
        let path = folder.join(NAME);
        let failed = |source| JournalError::Io { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error)),
        };
        let kept = replay(&text, state).map_err(|(line, reason)| JournalError::Damaged {
            path: path.clone(),
            line,
            reason,
        })?;
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
        if kept.bytes < text.len() {
            tracing::warn!(
                path = %path.display(),
                bytes = i64::try_from(text.len() - kept.bytes).unwrap_or(i64::MAX),
                "the last line of the paper account's file is torn; it is left out"
            );
            file.set_len(u64::try_from(kept.bytes).unwrap_or(u64::MAX)).map_err(failed)?;
        }
        Ok(Self { path, file, lines: kept.lines })
    }

    /// Keeps a change; one that cannot be kept must not be made.
    pub(super) fn append(&mut self, change: &Change) -> io::Result<()> {
        let mut line = serde_json::to_vec(change)?;
        line.push(b'\n');
        let before = self.file.metadata()?.len();
        if let Err(error) = self.file.write_all(&line) {
            // Half a line in the middle would be damage.
            if let Err(cut) = self.file.set_len(before) {
                tracing::warn!(error = %cut, "the paper account's file may end with half a line");
            }
            return Err(error);
        }
        self.lines += 1;
        Ok(())
    }

    /// Another file to write to.
    #[cfg(test)]
    pub(super) fn write_to(&mut self, file: File) {
        self.file = file;
    }

    /// Writes the file anew when it has grown. The old one stays when that fails.
    pub(super) fn compact(&mut self, state: &State) -> io::Result<()> {
        if self.lines < MOST_LINES {
            return Ok(());
        }
        self.rewrite(state)
    }

    fn rewrite(&mut self, state: &State) -> io::Result<()> {
        let new = self.path.with_extension("jsonl.new");
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut writer = BufWriter::new(OpenOptions::new().create_new(true).append(true).open(&new)?);
        for change in state.whole() {
            serde_json::to_writer(&mut writer, &change)?;
            writer.write_all(b"\n")?;
        }
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        // The same file under its new name: from here on nothing can fail.
        self.file = file;
        self.lines = 0;
        Ok(())
    }
}

/// How much of a file is sound.
struct Kept {
    bytes: usize,
    lines: usize,
}

/// Makes the changes of a file; an `Err` is the number of a damaged line, and why. Only the last may be torn.
fn replay(text: &[u8], state: &mut State) -> Result<Kept, (usize, String)> {
    let mut kept = Kept { bytes: 0, lines: 0 };
    for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let Some(whole) = line.strip_suffix(b"\n") else { break };
        match serde_json::from_slice::<Change>(whole) {
            Ok(change) => state.apply(change),
            Err(_) if kept.bytes + line.len() == text.len() => break,
            Err(error) => return Err((index + 1, error.to_string())),
        }
        kept.bytes += line.len();
        kept.lines += 1;
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;
    use rust_decimal_macros::dec;

    use super::super::order::{Kind, NewOrder, Side};
    use super::*;

    fn traded(state: &mut State, journal: &mut Journal, client_id: &str) {
        let new = NewOrder {
            symbol: "BTC-USDT".to_owned(),
            side: Side::Buy,
            kind: Kind::Market,
            quantity: dec!(0.1),
            reduce_only: false,
            client_id: Some(client_id.to_owned()),
        };
        let (_, change) = state.place(&new, dec!(40000.5), None, 1_700_000_000_000).unwrap();
        journal.append(&change).unwrap();
        state.apply(change);
    }

    fn read(folder: &Path) -> (State, Journal) {
        let mut state = State::new(Decimal::ONE);
        let journal = Journal::open(folder, &mut state).unwrap();
        (state, journal)
    }

    #[test]
    fn a_restart_changes_nothing_and_neither_does_writing_anew() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("made/when/missing");
        let mut state = State::new(dec!(10000));
        let mut journal = Journal::open(&folder, &mut state).unwrap();
        traded(&mut state, &mut journal, "one");
        let (again, mut journal) = read(&folder);
        assert_eq!((&again.account, &again.orders, &again.seen), (&state.account, &state.orders, &state.seen));
        traded(&mut state, &mut journal, "two");
        journal.rewrite(&state).unwrap();
        traded(&mut state, &mut journal, "three");
        let (again, _) = read(&folder);
        assert_eq!((&again.account, &again.orders, &again.seen), (&state.account, &state.orders, &state.seen));
        assert_eq!((again.accepted, again.orders.len()), (3, 3));
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_a_damaged_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (mut state, mut journal) = read(folder.path());
        state.account.balance = dec!(10000);
        for id in ["one", "two"] {
            traded(&mut state, &mut journal, id);
        }
        let path = folder.path().join(NAME);
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 5]).unwrap();
        let (mut torn, mut journal) = read(folder.path());
        assert_eq!(torn.orders.len(), 1);
        traded(&mut torn, &mut journal, "three");
        assert_eq!(read(folder.path()).0.orders.len(), 2, "the next line stands on its own");

        let mut damaged = b"{\"account\":\n".to_vec();
        damaged.extend(text);
        std::fs::write(&path, damaged).unwrap();
        let error = Journal::open(folder.path(), &mut State::new(Decimal::ONE)).unwrap_err();
        assert!(error.to_string().contains("line 1, cannot be read"), "{error}");
        assert!(error.to_string().contains("delete the file"), "{error}");
    }
}
