//! Lists in pages.

use serde::{Deserialize, Serialize};

/// Which part of a list: `?limit=50&cursor=...`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Most entries, 1 to 200; 50 when left out
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u16>,
    /// `next_cursor` of the page before; the newest entries when left out
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Why a page cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Outside the bounds.
    #[error("limit is a number from 1 to {max}, not {0}", max = PageQuery::MAX_LIMIT)]
    Limit(u16),
    /// Not one that was given out.
    #[error("cursor is none that a page gave as its next_cursor")]
    Cursor,
}

impl PageQuery {
    /// Most entries of a page.
    pub const MAX_LIMIT: u16 = 200;
    /// Entries of a page when nothing is said.
    pub const DEFAULT_LIMIT: u16 = 50;

    /// Entries wanted.
    ///
    /// # Errors
    /// When `limit` is out of bounds.
    pub fn limit(&self) -> Result<u16, PageError> {
        match self.limit.unwrap_or(Self::DEFAULT_LIMIT) {
            limit @ 1..=Self::MAX_LIMIT => Ok(limit),
            limit => Err(PageError::Limit(limit)),
        }
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
        let limit = |limit| PageQuery { limit, cursor: None }.limit();
        assert_eq!((limit(None), limit(Some(200))), (Ok(50), Ok(200)));
        assert!(limit(Some(0)).is_err() && limit(Some(201)).is_err());
        let before = |cursor: &str| PageQuery { limit: None, cursor: Some(cursor.to_owned()) }.before();
        assert_eq!(before("17"), Ok(17));
        assert_eq!(before("x"), Err(PageError::Cursor));
    }
}
