//! Lists of Telegram's ids, as settings have them.

use std::str::FromStr;

/// Telegram user ids, as a comma list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserIds(pub Vec<u64>);

impl FromStr for UserIds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ids = text.split(',').map(str::trim).filter(|id| !id.is_empty());
        ids.map(|id| id.parse().map_err(|_not_a_number| format!("{id:?} is no Telegram user id: those are numbers")))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// Telegram chat ids, as a comma list: people above zero, groups below.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChatIds(pub Vec<i64>);

impl FromStr for ChatIds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut chats = Vec::new();
        for id in text.split(',').map(str::trim).filter(|id| !id.is_empty()) {
            let chat: i64 =
                id.parse().map_err(|_not_a_number| format!("{id:?} is no Telegram chat id: those are numbers"))?;
            if !chats.contains(&chat) {
                chats.push(chat);
            }
        }
        Ok(Self(chats))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_comma_lists() {
        assert_eq!("1001, 1002,".parse(), Ok(UserIds(vec![1001, 1002])));
        assert_eq!("".parse(), Ok(UserIds::default()));
        assert!("alice".parse::<UserIds>().is_err() && "-5".parse::<UserIds>().is_err());
        assert_eq!("-100200300, 1001,-100200300".parse(), Ok(ChatIds(vec![-100_200_300, 1001])), "each once");
        assert!("@channel".parse::<ChatIds>().unwrap_err().contains("@channel"));
    }
}
