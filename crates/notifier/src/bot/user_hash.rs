//! A pseudonym for a user: the same person is recognised along traces, but nobody learns who it is from them.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Makes pseudonyms. The key comes from the bot's token, so that a list of all user ids is no way back.
#[derive(Clone)]
pub(crate) struct UserHasher {
    key: [u8; 32],
}

impl UserHasher {
    pub(crate) fn new(token: &SecretString) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"crypto-telemetry user pseudonym\0");
        hasher.update(token.expose_secret().as_bytes());
        Self { key: hasher.finalize().into() }
    }

    /// 16 hex digits.
    pub(crate) fn hash(&self, user_id: u64) -> String {
        let mut hasher = Sha256::new();
        hasher.update(self.key);
        hasher.update(user_id.to_be_bytes());
        hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for UserHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserHasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_for_a_bot_and_different_between_users_and_bots() {
        let one = UserHasher::new(&"1:a".to_owned().into());
        let other = UserHasher::new(&"1:b".to_owned().into());
        assert_eq!(one.hash(1001), UserHasher::new(&"1:a".to_owned().into()).hash(1001));
        assert_ne!(one.hash(1001), one.hash(1002));
        assert_ne!(one.hash(1001), other.hash(1001));
        assert_eq!(one.hash(1001).len(), 16);
    }
}
