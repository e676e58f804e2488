//! The file with the API keys, read again when it changes.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use telemetry::metrics::gateway::{API_KEY_FILE_READS, API_KEYS};
use web::{CancellationToken, StartError};

use super::keys::{Keys, KeysError};

/// Time between two looks at the file.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A file that changed this recently may change again without a difference that the file system shows.
const YOUNG: Duration = Duration::from_secs(3);

/// Largest file that is read.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The keys of a file.
#[derive(Clone)]
pub(crate) struct KeyFile {
    path: PathBuf,
    keys: Arc<RwLock<Arc<Keys>>>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it has {0} bytes, more than any list of keys")]
    TooLarge(u64),
    #[error(transparent)]
    Malformed(#[from] KeysError),
}

/// What tells one state of the file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

impl KeyFile {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read or a line in it is no key.
    pub(crate) fn open(path: PathBuf) -> Result<Self, StartError> {
        let keys = read(&path).map_err(|error| StartError::Setting {
            setting: "API_KEYS_FILE",
            reason: format!("file {}: {error}", path.display()),
        })?;
        told(&path, &keys);
        Ok(Self { path, keys: Arc::new(RwLock::new(Arc::new(keys))) })
    }

    /// The keys of now.
    pub(crate) fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the file every second, and reads it again when it has changed. One that is broken changes nothing: whoever
    /// had a key keeps it until the file is mended.
    pub(crate) async fn keep_up(self, stop: CancellationToken) {
        // The file may have changed since it was opened: the first look always reads it.
        let mut seen: Option<Result<Stamp, io::ErrorKind>> = None;
        loop {
            let path = self.path.clone();
            let looked = tokio::task::spawn_blocking(move || look(&path, seen)).await;
            if let Ok((now, news)) = looked {
                seen = Some(now);
                match news {
                    None => {}
                    Some(Ok(keys)) if self.keys().is_same(&keys) => {}
                    Some(Ok(keys)) => {
                        told(&self.path, &keys);
                        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
                    }
                    Some(Err(error)) => {
                        API_KEY_FILE_READS.add(1, &[("outcome", "failed")]);
                        tracing::error!(
                            file = %self.path.display(),
                            error = %error,
                            "the file with the API keys cannot be used; the keys it had before stay valid"
                        );
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }
}

fn told(path: &Path, keys: &Keys) {
    API_KEY_FILE_READS.add(1, &[("outcome", "ok")]);
    #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
    API_KEYS.set(keys.len() as f64, &[]);
    if keys.len() == 0 {
        tracing::warn!(file = %path.display(), "the file with the API keys has none: nobody is let in");
    } else {
        tracing::info!(file = %path.display(), keys = keys.len(), "API keys read");
    }
}

/// The file's state, and what it says when that is not the state that was seen last.
fn look(
    path: &Path,
    seen: Option<Result<Stamp, io::ErrorKind>>,
) -> (Result<Stamp, io::ErrorKind>, Option<Result<Keys, FileError>>) {
    // Looked at before it is read: a change in between is seen at the next look.
    let now = stamp(path).map_err(|error| error.kind());
    let young = matches!(now, Ok(Stamp { modified: Some(at), .. }) if at.elapsed().is_ok_and(|age| age < YOUNG));
    let unchanged = seen == Some(now);
    if unchanged && (now.is_err() || !young) {
        return (now, None);
    }
    let news = read(path);
    // A young file is read often: that it is broken is said once.
    let again = unchanged && news.is_err();
    (now, (!again).then_some(news))
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = std::fs::metadata(path)?;
    Ok(Stamp { modified: metadata.modified().ok(), bytes: metadata.len(), inode: metadata.ino() })
}

fn read(path: &Path) -> Result<Keys, FileError> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes > MAX_BYTES {
        return Err(FileError::TooLarge(bytes));
    }
    Ok(Keys::parse(&std::fs::read_to_string(path)?)?)
}
