//! What can go wrong with a database.

use std::time::Duration;

use actix_web::http::StatusCode;
use sqlx::error::ErrorKind;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;
use web::Problem;

/// Why a statement failed. No variant carries a value of a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The database cannot be reached, or is not ready for use yet.
    #[error("the database cannot be used now: {reason}")]
    Unavailable {
        /// Why, in words.
        reason: String,
    },
    /// No connection became free, another writer held the database too long, or the statement took too long.
    #[error("the database took too long: {reason}")]
    Timeout {
        /// What took too long, in words.
        reason: &'static str,
    },
    /// There is such a row already.
    #[error("there is such a row already ({constraint})")]
    Conflict {
        /// What must be unique: PostgreSQL's name of the constraint, SQLite's `table.column`.
        constraint: String,
    },
    /// A row that the schema does not allow: a foreign key, a check, a missing value.
    #[error("the database refuses the row ({constraint})")]
    Rejected {
        /// What forbids it.
        constraint: String,
    },
    /// One row was expected and there is none.
    #[error("there is no such row in {collection}")]
    NotFound {
        /// Where it was expected.
        collection: &'static str,
    },
    /// A column that does not hold what the program expects.
    #[error("column {column} does not hold what was expected")]
    Malformed {
        /// Its name, or its place.
        column: String,
    },
    /// A statement of a transaction in which one has failed before.
    #[error("a statement of this transaction has failed before, so it can only be rolled back")]
    Aborted,
    /// A statement that the database does not understand or cannot carry out: a defect of the program.
    #[error("the database cannot carry out the statement (code {code}): {message}")]
    Query {
        /// SQLSTATE, or SQLite's extended result code.
        code: String,
        /// The database's words, where they cannot hold a value.
        message: String,
    },
}

impl StorageError {
    /// A bounded word: label of metrics and `error.type` of spans.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::Timeout { .. } => "timeout",
            Self::Conflict { .. } => "conflict",
            Self::Rejected { .. } => "rejected",
            Self::NotFound { .. } => "not_found",
            Self::Malformed { .. } => "malformed",
            Self::Aborted => "aborted",
            Self::Query { .. } => "query",
        }
    }

    /// Whether the same may succeed a little later.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Timeout { .. })
    }
}

/// When to try again: the database is looked for about that often.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable { .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "database_away",
                "The database cannot be reached now. Try again in a moment.",
            )
            .retry_after(RETRY_AFTER),
            StorageError::Timeout { .. } => Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                "database_timeout",
                "The database did not answer in time. Try again in a moment.",
            ),
            other => {
                tracing::error!(error = %other, "a database error that no caller can mend");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "Something went wrong here. It has been logged.",
                )
            }
        }
    }
}

/// A failed statement: what its caller is told, and what it means for the connection and the database.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: StorageError,
    /// The connection must not be used again.
    pub(crate) broken: bool,
    /// The database is away for everybody.
    pub(crate) away: bool,
    /// The database's own code.
    pub(crate) code: Option<String>,
}

impl Failure {
    pub(crate) const fn of(error: StorageError) -> Self {
        Self { error, broken: false, away: false, code: None }
    }

    pub(crate) fn away(reason: impl Into<String>) -> Self {
        Self { error: StorageError::Unavailable { reason: reason.into() }, broken: true, away: true, code: None }
    }

    pub(crate) fn timeout(reason: &'static str) -> Self {
        Self::of(StorageError::Timeout { reason })
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => {
                if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
                    return postgres(error);
                }
                let kind = error.kind();
                error
                    .try_downcast_ref::<SqliteError>()
                    .map_or_else(|| Self::of(query("", "")), |error| sqlite(error, &kind))
            }
            sqlx::Error::Io(error) => Self::away(format!("the connection failed ({error})")),
            sqlx::Error::Tls(error) => Self::away(format!("TLS could not be established ({error})")),
            // What a server says that goes down, or one that is none; texts of the driver, with no values.
            sqlx::Error::Protocol(text) => Self::away(format!("the connection is out of step ({text})")),
            sqlx::Error::WorkerCrashed => Self::away("the connection's thread has ended"),
            sqlx::Error::ColumnNotFound(column) => Self::of(StorageError::Malformed { column }),
            sqlx::Error::ColumnDecode { index, .. } => Self::of(StorageError::Malformed { column: index }),
            sqlx::Error::ColumnIndexOutOfBounds { index, .. } => {
                Self::of(StorageError::Malformed { column: index.to_string() })
            }
            sqlx::Error::Decode(_) => Self::of(StorageError::Malformed { column: "?".to_owned() }),
            // Its text can hold the value.
            sqlx::Error::Encode(_) => Self::of(query("encode", "a value cannot be sent")),
            other => Self::of(query("driver", &other.to_string())),
        }
    }
}

fn query(code: &str, message: &str) -> StorageError {
    StorageError::Query { code: code.to_owned(), message: message.to_owned() }
}

/// SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn postgres(error: &PgDatabaseError) -> Failure {
    let code = error.code();
    let constraint = || error.constraint().unwrap_or("unnamed").to_owned();
    let mut failure = match code {
        "57014" => Failure::timeout("the statement took longer than DATABASE_STATEMENT_TIMEOUT_MS"),
        "55P03" | "40P01" | "40001" => Failure::timeout("another transaction was in the way"),
        "25P02" => Failure::of(StorageError::Aborted),
        // Idle in a transaction for too long: the server has ended the connection.
        "25P03" => Failure { broken: true, ..Failure::timeout("the transaction was left idle") },
        "23505" | "23P01" => Failure::of(StorageError::Conflict { constraint: constraint() }),
        _ if code.starts_with("23") => Failure::of(StorageError::Rejected { constraint: constraint() }),
        // Being stopped, crashed, starting; connection lost; out of connections, memory or disk; no such user or
        // database; a standby.
        "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "3D000" | "25006" => Failure::away(error.message()),
        _ if ["08", "28", "53", "58"].contains(&&code[..2.min(code.len())]) => Failure::away(error.message()),
        // Syntax and names: the text can hold nothing but the statement. Others may quote values.
        _ if code.starts_with("42") => Failure::of(query(code, error.message())),
        _ => Failure::of(query(code, "see the code")),
    };
    failure.code = Some(code.to_owned());
    failure
}

/// Result codes: <https://sqlite.org/rescode.html>. The lowest byte is the kind.
fn sqlite(error: &SqliteError, kind: &ErrorKind) -> Failure {
    use sqlx::error::DatabaseError as _;
    let code = error.code().unwrap_or_default().into_owned();
    let message = error.message();
    // "UNIQUE constraint failed: users.id"
    let constraint = || message.split_once(": ").map_or(message, |(_, what)| what).to_owned();
    let mut failure = match (code.parse::<i64>().unwrap_or_default() & 0xff, kind) {
        (5 | 6, _) => {
            Failure::timeout("another writer held the database for longer than DATABASE_STATEMENT_TIMEOUT_MS")
        }
        (9, _) => Failure::timeout("the statement took longer than DATABASE_STATEMENT_TIMEOUT_MS"),
        (19, ErrorKind::UniqueViolation) => Failure::of(StorageError::Conflict { constraint: constraint() }),
        (19, _) => Failure::of(StorageError::Rejected { constraint: constraint() }),
        // The disk is full: reading still works, so the database is not away.
        (13, _) => Failure::of(StorageError::Unavailable { reason: message.to_owned() }),
        (10 | 11 | 14 | 26, _) => Failure::away(message),
        _ => Failure::of(query(&code, message)),
    };
    failure.code = Some(code);
    failure
}
