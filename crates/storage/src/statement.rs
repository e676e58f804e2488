//! Statements: one text for both engines.

use crate::value::Value;

/// What a statement does, for its span, its metric, and the connection that it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueryType {
    /// Reads only.
    Select,
    /// Writes new rows.
    Insert,
    /// Changes rows.
    Update,
    /// Deletes rows.
    Delete,
}

impl QueryType {
    /// As `db.operation.name` has it.
    #[must_use]
    pub const fn operation(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }

    /// As the label `query_type` has it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// A statement and its values.
///
/// The text is one for both engines: placeholders are `$1`, `$2`, …; where PostgreSQL cannot tell the type of one, or
/// gives a result another type than SQLite, it says `CAST(… AS …)`. It stands in the source, so that no value can get
/// into it, and it is what traces show.
#[derive(Debug, Clone)]
#[must_use = "a statement does nothing before it is run"]
pub struct Statement {
    pub(crate) query_type: QueryType,
    pub(crate) collection: &'static str,
    pub(crate) sql: &'static str,
    pub(crate) values: Vec<Value>,
}

impl Statement {
    /// A statement on the table `collection`.
    pub const fn new(query_type: QueryType, collection: &'static str, sql: &'static str) -> Self {
        Self { query_type, collection, sql, values: Vec::new() }
    }

    /// Binds the next placeholder.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// SQLite takes a placeholder with no value for NULL, so the mistake would go unnoticed there.
    pub(crate) fn is_complete(&self) -> bool {
        let highest = self
            .sql
            .split('$')
            .skip(1)
            .filter_map(|rest| rest[..rest.bytes().take_while(u8::is_ascii_digit).count()].parse().ok())
            .max();
        highest.unwrap_or(0) == self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_too_few_or_too_many_is_noticed() {
        let statement = Statement::new(QueryType::Select, "users", "SELECT 1 WHERE $1 = $2 OR $1 = $10");
        assert!(!statement.is_complete());
        let bound = (0..10).fold(statement, |statement, value| statement.bind(i64::from(value)));
        assert!(bound.is_complete() && !bound.bind("one more").is_complete());
        assert!(Statement::new(QueryType::Delete, "users", "DELETE FROM users").is_complete());
    }
}
