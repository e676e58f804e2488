//! Standard output for log lines, some at a time: a system call a line, and a wake of whoever reads it, cost more than
//! the line.

use std::io::{self, IsTerminal as _, Write as _};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Longest that a line waits for others. A process that is killed loses what waits.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// What waits is written at once when it is longer than this: a reader that is slow slows the service down rather than
/// filling its memory.
const MOST_BYTES: usize = 64 * 1024;

/// Where log lines go. Clones are the same. Warnings and errors go out at once, with all before them, and so does
/// everything on a terminal.
#[derive(Debug, Clone)]
pub(crate) struct LogWriter {
    shared: Arc<Shared>,
    at_once: bool,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Vec<u8>>,
    /// Something waits that did not.
    filled: Condvar,
    /// Held while lines are taken and written: they go out in their order.
    out: Mutex<()>,
}

impl LogWriter {
    /// Starts the thread that writes what waits. Where there can be none, lines go out at once.
    pub(crate) fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        let at_once = io::stdout().is_terminal()
            || std::thread::Builder::new().name("log-writer".to_owned()).spawn(move || theirs.keep_writing()).is_err();
        Self { shared, at_once }
    }

    /// Writes what waits.
    pub(crate) fn flush(&self) {
        self.shared.write_out();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, line: &[u8], at_once: bool) {
        let mut waiting = self.lock();
        let was_empty = waiting.is_empty();
        waiting.extend_from_slice(line);
        let full = waiting.len() > MOST_BYTES;
        drop(waiting);
        if at_once || full {
            self.write_out();
        } else if was_empty {
            self.filled.notify_one();
        }
    }

    fn write_out(&self) {
        let _out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = mem::take(&mut *self.lock());
        // Nobody is left who could be told of standard output's end.
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(&lines).and_then(|()| stdout.flush());
    }

    fn keep_writing(&self) -> ! {
        loop {
            let mut waiting = self.lock();
            while waiting.is_empty() {
                waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            drop(waiting);
            std::thread::sleep(LONGEST_WAIT);
            self.write_out();
        }
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { shared: &self.shared, at_once: true }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line<'a> {
        Line { shared: &self.shared, at_once: self.at_once || *metadata.level() <= Level::WARN }
    }
}

/// Takes one line.
pub(crate) struct Line<'a> {
    shared: &'a Shared,
    at_once: bool,
}

impl io::Write for Line<'_> {
    /// The layer gives a line in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.shared.put(line, self.at_once);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
