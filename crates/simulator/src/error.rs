//! Why the simulator cannot start.

use std::path::PathBuf;

use crate::bingx::JournalError;
use crate::market::RecordingError;

/// Why the simulator cannot start, in a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The embedded prices are unsound: the build is broken.
    #[error("the embedded prices cannot be used")]
    Recording(#[from] RecordingError),
    /// A file with a secret cannot be read, or is empty.
    #[error("{setting}: cannot read {path}: {source}", path = path.display())]
    SecretFile {
        /// Which setting names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bot's token has not the form of one.
    #[error("TELEGRAM_BOT_TOKEN has the form 123456:letters-and-digits, as @BotFather gives it")]
    BotToken,
    /// The paper account of BingX cannot be read or kept.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The server cannot listen.
    #[error(transparent)]
    Server(#[from] web::StartError),
}
