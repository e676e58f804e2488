//! What can be asked about, as market-data-service last said.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use web::CancellationToken;

use crate::backends::Backends;
use crate::names::Vocabulary;

/// How often the list is read again.
const REFRESH: Duration = Duration::from_secs(600);

/// How soon it is tried again while market-data-service is away.
const RETRY: Duration = Duration::from_secs(5);

/// The words for symbols, kept up to date in the background. Without market data only well-known coins are words.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownSymbols {
    vocabulary: Arc<RwLock<Arc<Vocabulary>>>,
}

impl KnownSymbols {
    /// The words as of now.
    pub(crate) fn vocabulary(&self) -> Arc<Vocabulary> {
        Arc::clone(&self.vocabulary.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Learns what is served.
    pub(crate) fn learn(&self, list: &domain::SymbolList) {
        let served = list.symbols.iter().map(|info| info.symbol.clone()).collect();
        *self.vocabulary.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Vocabulary::new(served));
    }

    /// Keeps learning until told to stop.
    pub(crate) async fn keep_up(self, backends: Backends, stop: CancellationToken) {
        loop {
            let pause = match backends.symbols().await {
                Ok(list) => {
                    self.learn(&list);
                    REFRESH
                }
                Err(error) => {
                    tracing::debug!(error = %error, "the list of symbols cannot be read now");
                    RETRY
                }
            };
            if tokio::time::timeout(pause, stop.cancelled()).await.is_ok() {
                return;
            }
        }
    }
}
