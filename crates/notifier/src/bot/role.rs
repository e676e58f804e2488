//! Who may do what: by user id, wherever they write or press.

use std::collections::BTreeMap;
use std::fmt;

/// What somebody may do; a higher role may do all that a lower one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Ask and look.
    Viewer,
    /// Confirm, decline and cancel orders; pause and stop trading.
    Trader,
    /// Resume trading.
    Admin,
}

impl Role {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Trader => "trader",
            Self::Admin => "admin",
        }
    }

    /// Where people with this role are named.
    pub(crate) const fn setting(self) -> &'static str {
        match self {
            Self::Viewer => "TELEGRAM_ALLOWED_USER_IDS",
            Self::Trader => "TELEGRAM_TRADER_USER_IDS",
            Self::Admin => "TELEGRAM_ADMIN_USER_IDS",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everybody who may use the bot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roles {
    users: BTreeMap<u64, Role>,
}

impl Roles {
    /// Of lists of user ids; somebody on several has the highest role.
    pub(crate) fn new<'a>(lists: impl IntoIterator<Item = (Role, &'a [u64])>) -> Self {
        let mut users = BTreeMap::new();
        for (role, ids) in lists {
            for id in ids {
                let entry = users.entry(*id).or_insert(role);
                *entry = role.max(*entry);
            }
        }
        Self { users }
    }

    pub(crate) fn of(&self, user_id: u64) -> Option<Role> {
        self.users.get(&user_id).copied()
    }

    pub(crate) fn users(&self) -> impl Iterator<Item = u64> {
        self.users.keys().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_role_counts_and_includes_the_lower() {
        let roles = Roles::new([
            (Role::Admin, [1_u64].as_slice()),
            (Role::Viewer, [1, 2, 3].as_slice()),
            (Role::Trader, [3].as_slice()),
        ]);
        assert_eq!(
            [1, 2, 3, 4].map(|id| roles.of(id)),
            [Some(Role::Admin), Some(Role::Viewer), Some(Role::Trader), None]
        );
        assert!(Role::Admin > Role::Trader && Role::Trader > Role::Viewer);
        assert_eq!(roles.users().collect::<Vec<_>>(), [1, 2, 3]);
    }
}
