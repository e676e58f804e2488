//! The users' table.

use chrono::{DateTime, Utc};
use domain::{Page, PageQuery, ProcessRequest, User, UserId};
use storage::{Database, FromRow, QueryType, Statement};

use crate::error::UserError;

/// Where users are kept.
#[derive(Clone)]
pub(crate) struct Users {
    database: Database,
}

#[derive(FromRow)]
struct UserRow {
    id: i64,
    name: Option<String>,
    email: Option<String>,
    first_seen_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    request_count: i64,
}

impl TryFrom<UserRow> for User {
    type Error = UserError;

    fn try_from(row: UserRow) -> Result<Self, UserError> {
        Ok(Self {
            id: UserId::try_from(row.id).map_err(|_| UserError::Kept("a user's id"))?,
            name: row.name,
            email: row.email,
            first_seen_at: row.first_seen_at,
            last_seen_at: row.last_seen_at,
            request_count: row.request_count,
        })
    }
}

impl Users {
    pub(crate) const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Writes down that a user asked for something, with what the request says about them.
    pub(crate) async fn seen(&self, request: &ProcessRequest, at: DateTime<Utc>) -> Result<User, UserError> {
        let statement = Statement::new(
            QueryType::Insert,
            "users",
            "INSERT INTO users (id, name, email, first_seen_at, last_seen_at, request_count) VALUES ($1, $2, $3, $4, $4, 1) \
             ON CONFLICT (id) DO UPDATE SET name = COALESCE(excluded.name, users.name), \
             email = COALESCE(excluded.email, users.email), last_seen_at = excluded.last_seen_at, \
             request_count = users.request_count + 1 \
             RETURNING id, name, email, first_seen_at, last_seen_at, request_count",
        )
        .bind(request.user_id.get())
        .bind(request.user_name.as_ref().map(|name| name.as_str().to_owned()))
        .bind(request.user_email.as_ref().map(|email| email.as_str().to_owned()))
        .bind(at);
        self.database.fetch_one::<UserRow>(statement).await?.try_into()
    }

    /// One user.
    pub(crate) async fn find(&self, id: UserId) -> Result<Option<User>, UserError> {
        let statement = Statement::new(
            QueryType::Select,
            "users",
            "SELECT id, name, email, first_seen_at, last_seen_at, request_count FROM users WHERE id = $1",
        )
        .bind(id.get());
        self.database.fetch_optional::<UserRow>(statement).await?.map(User::try_from).transpose()
    }

    /// Users, the highest id first.
    pub(crate) async fn list(&self, query: &PageQuery) -> Result<Page<User>, UserError> {
        let limit = query.limit()?;
        let statement = Statement::new(
            QueryType::Select,
            "users",
            "SELECT id, name, email, first_seen_at, last_seen_at, request_count FROM users WHERE id < $1 \
             ORDER BY id DESC LIMIT $2",
        )
        .bind(query.before()?)
        .bind(i64::from(limit) + 1);
        let rows = self.database.fetch_all::<UserRow>(statement).await?;
        let users = rows.into_iter().map(User::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(users, limit, |user| user.id.get()))
    }
}
