//! Lists in pages.

use serde::{Deserialize, Serialize};

/// Which part of a list: `?limit=50&cursor=...`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Most entries, 1 to 200; 50 when left out
    // A text, so that whatever is wrong with it is said in the same words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    pub limit: Option<String>,
    /// `next_cursor` of the page before; the newest entries when left out
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Why a page cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// No number within the bounds.
    #[error("limit is a whole number from 1 to {max}", max = PageQuery::MAX_LIMIT)]
    Limit,
    /// Not one that was given out.
    #[error("cursor is none that a page gave as its next_cursor")]
    Cursor,
}

impl PageError {
    /// A bounded word for machines: the same in every list.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Limit => "bad_limit",
            Self::Cursor => "bad_cursor",
        }
    }
}

impl PageQuery {
    /// Most entries of a page.
    pub const MAX_LIMIT: u16 = 200;
    /// Entries of a page when nothing is said.
    pub const DEFAULT_LIMIT: u16 = 50;

    /// Entries wanted.
    ///
    /// # Errors
    /// When `limit` is no number within the bounds.
    pub fn limit(&self) -> Result<u16, PageError> {
        let Some(limit) = &self.limit else { return Ok(Self::DEFAULT_LIMIT) };
        limit.parse().ok().filter(|limit| (1..=Self::MAX_LIMIT).contains(limit)).ok_or(PageError::Limit)
    }

    /// The number behind which the page begins, for lists that run from the highest number down.
    ///
    /// # Errors
    /// When `cursor` is no number.
    pub fn before(&self) -> Result<i64, PageError> {
        self.cursor.as_deref().map_or(Ok(i64::MAX), |cursor| cursor.parse().map_err(|_| PageError::Cursor))
    }
}

/// A part of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Where the next page begins; none on the last one.
    pub next_cursor: Option<String>,
    /// Trace of the request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

impl<T> Page<T> {
    /// A page of what was read with a limit one above the page's, so that it is known whether more follow.
    #[must_use]
    pub fn of(mut items: Vec<T>, limit: u16, number: impl Fn(&T) -> i64) -> Self {
        let more = items.len() > usize::from(limit);
        items.truncate(usize::from(limit));
        let next_cursor = if more { items.last().map(|last| number(last).to_string()) } else { None };
        Self { items, next_cursor, trace_id: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_knows_whether_more_follow() {
        let page = Page::of(vec![9, 8, 7], 2, |n| *n);
        assert_eq!((page.items, page.next_cursor.as_deref()), (vec![9, 8], Some("8")));
        assert_eq!(Page::of(vec![9, 8], 2, |n| *n).next_cursor, None);
    }

    #[test]
    fn bounds_hold() {
        let limit = |limit: &str| PageQuery { limit: Some(limit.to_owned()), cursor: None }.limit();
        assert_eq!((PageQuery::default().limit(), limit("1"), limit("200")), (Ok(50), Ok(1), Ok(200)));
        for bad in ["0", "201", "999999", "99999999999999999999", "-1", "1.5", "ten", ""] {
            assert_eq!(limit(bad), Err(PageError::Limit), "{bad}");
        }
        let before = |cursor: &str| PageQuery { limit: None, cursor: Some(cursor.to_owned()) }.before();
        assert_eq!(before("17"), Ok(17));
        assert_eq!(before("x"), Err(PageError::Cursor));
    }
}
