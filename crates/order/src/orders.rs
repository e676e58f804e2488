//! The orders' tables.

use chrono::{DateTime, Utc};
use domain::{Order, OrderItem, Page, PageQuery, UserId};
use storage::{Database, FromRow, Money, QueryType, Statement, Transaction};

use crate::error::OrderError;

/// Where orders are kept.
#[derive(Clone)]
pub(crate) struct Orders {
    database: Database,
}

/// What makes two tries of a request one order.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) key: String,
    /// What was asked for with it.
    pub(crate) request_hash: String,
}

/// An order and its place in the list.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) number: i64,
    /// Of the request that made it with a key.
    pub(crate) request_hash: Option<String>,
    pub(crate) order: Order,
}

#[derive(FromRow)]
struct OrderRow {
    number: i64,
    id: String,
    request_hash: Option<String>,
    user_id: i64,
    action: String,
    total: Money,
    currency: Option<String>,
    decision_id: Option<String>,
    trace_id: Option<String>,
    created_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct ItemRow {
    order_number: i64,
    symbol: String,
    quantity: Money,
    unit_price: Money,
    total: Money,
    price_observed_at: DateTime<Utc>,
}

impl OrderRow {
    fn with(self, items: Vec<OrderItem>) -> Result<Kept, OrderError> {
        let order = Order {
            id: self.id,
            user_id: UserId::try_from(self.user_id).map_err(|_| OrderError::Kept("a user's id"))?,
            action: self.action.parse().map_err(|_| OrderError::Kept("an action"))?,
            total: self.total.0,
            currency: self.currency,
            items,
            decision_id: self
                .decision_id
                .map(|id| id.parse())
                .transpose()
                .map_err(|_| OrderError::Kept("a decision's id"))?,
            trace_id: self.trace_id,
            created_at: self.created_at,
        };
        Ok(Kept { number: self.number, request_hash: self.request_hash, order })
    }
}

impl TryFrom<ItemRow> for OrderItem {
    type Error = OrderError;

    fn try_from(row: ItemRow) -> Result<Self, OrderError> {
        Ok(Self {
            symbol: row.symbol.parse().map_err(|_| OrderError::Kept("a symbol"))?,
            quantity: row.quantity.0,
            unit_price: row.unit_price.0,
            total: row.total.0,
            price_observed_at: row.price_observed_at,
        })
    }
}

impl Orders {
    pub(crate) const fn new(database: Database) -> Self {
        Self { database }
    }

    pub(crate) const fn database(&self) -> &Database {
        &self.database
    }

    /// The order that was made with this key, if one was.
    ///
    /// # Errors
    /// [`OrderError::KeyMismatch`] when it was made by another request.
    pub(crate) async fn by_key(&self, key: &Key) -> Result<Option<Kept>, OrderError> {
        let statement = Statement::new(
            QueryType::Select,
            "orders",
            "SELECT number, id, request_hash, user_id, action, total, currency, decision_id, trace_id, created_at FROM orders \
             WHERE idempotency_key = $1",
        )
        .bind(key.key.as_str());
        let kept = self.one(statement).await?;
        match kept {
            Some(kept) if kept.request_hash.as_ref().is_some_and(|hash| *hash != key.request_hash) => {
                Err(OrderError::KeyMismatch)
            }
            kept => Ok(kept),
        }
    }

    /// The order with this id.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<Kept>, OrderError> {
        let statement = Statement::new(
            QueryType::Select,
            "orders",
            "SELECT number, id, request_hash, user_id, action, total, currency, decision_id, trace_id, created_at FROM orders \
             WHERE id = $1",
        )
        .bind(id);
        self.one(statement).await
    }

    async fn one(&self, statement: Statement) -> Result<Option<Kept>, OrderError> {
        let Some(row) = self.database.fetch_optional::<OrderRow>(statement).await? else { return Ok(None) };
        let items = self.items(row.number, row.number, None).await?;
        let items = items.into_iter().map(|(_, item)| item).collect();
        row.with(items).map(Some)
    }

    /// Orders, newest first; of one user where one is named.
    pub(crate) async fn list(&self, query: &PageQuery, user_id: Option<UserId>) -> Result<Page<Order>, OrderError> {
        let limit = query.limit()?;
        // Two statements: one with "or all users" would read past the index.
        let statement = match user_id {
            None => Statement::new(
                QueryType::Select,
                "orders",
                "SELECT number, id, request_hash, user_id, action, total, currency, decision_id, trace_id, created_at FROM orders \
                 WHERE number < $1 ORDER BY number DESC LIMIT $2",
            )
            .bind(query.before()?)
            .bind(i64::from(limit) + 1),
            Some(user_id) => Statement::new(
                QueryType::Select,
                "orders",
                "SELECT number, id, request_hash, user_id, action, total, currency, decision_id, trace_id, created_at FROM orders \
                 WHERE user_id = $3 AND number < $1 ORDER BY number DESC LIMIT $2",
            )
            .bind(query.before()?)
            .bind(i64::from(limit) + 1)
            .bind(user_id.get()),
        };
        let rows = self.database.fetch_all::<OrderRow>(statement).await?;
        let (first, last) = (rows.last().map_or(0, |row| row.number), rows.first().map_or(0, |row| row.number));
        let mut items = if rows.is_empty() { Vec::new() } else { self.items(first, last, user_id).await? };
        let mut kept = Vec::with_capacity(rows.len());
        for row in rows {
            let number = row.number;
            let own = items.extract_if(.., |(of, _)| *of == number).map(|(_, item)| item).collect();
            kept.push(row.with(own)?);
        }
        let page = Page::of(kept, limit, |kept| kept.number);
        Ok(Page {
            items: page.items.into_iter().map(|kept| kept.order).collect(),
            next_cursor: page.next_cursor,
            trace_id: None,
        })
    }

    /// Items of the orders with these numbers (of one user where one is named), each with its order's number, in their
    /// order's order.
    async fn items(&self, first: i64, last: i64, user_id: Option<UserId>) -> Result<Vec<(i64, OrderItem)>, OrderError> {
        let statement = match user_id {
            None => Statement::new(
                QueryType::Select,
                "order_items",
                "SELECT order_number, symbol, quantity, unit_price, total, price_observed_at FROM order_items \
                 WHERE order_number BETWEEN $1 AND $2 ORDER BY order_number DESC, position",
            )
            .bind(first)
            .bind(last),
            Some(user_id) => Statement::new(
                QueryType::Select,
                "order_items",
                "SELECT order_number, symbol, quantity, unit_price, total, price_observed_at FROM order_items \
                 WHERE order_number IN (SELECT number FROM orders WHERE user_id = $3 AND number BETWEEN $1 AND $2) \
                 ORDER BY order_number DESC, position",
            )
            .bind(first)
            .bind(last)
            .bind(user_id.get()),
        };
        let rows = self.database.fetch_all::<ItemRow>(statement).await?;
        rows.into_iter().map(|row| Ok((row.order_number, row.try_into()?))).collect()
    }
}

#[derive(FromRow)]
struct Number {
    number: i64,
}

/// Writes an order and its items.
pub(crate) async fn insert(transaction: &mut Transaction, order: &Order, key: Option<&Key>) -> Result<i64, OrderError> {
    let statement = Statement::new(
        QueryType::Insert,
        "orders",
        "INSERT INTO orders (id, idempotency_key, request_hash, user_id, action, total, currency, decision_id, trace_id, \
         created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING number",
    )
    .bind(order.id.as_str())
    .bind(key.map(|key| key.key.clone()))
    .bind(key.map(|key| key.request_hash.clone()))
    .bind(order.user_id.get())
    .bind(order.action.as_str())
    .bind(Money(order.total))
    .bind(order.currency.clone())
    .bind(order.decision_id.clone().map(String::from))
    .bind(order.trace_id.clone())
    .bind(order.created_at);
    let Number { number } = transaction.fetch_one(statement).await?;
    for (position, item) in (0_i64..).zip(&order.items) {
        let statement = Statement::new(
            QueryType::Insert,
            "order_items",
            "INSERT INTO order_items (order_number, position, symbol, quantity, unit_price, total, price_observed_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(number)
        .bind(position)
        .bind(item.symbol.as_str())
        .bind(Money(item.quantity))
        .bind(Money(item.unit_price))
        .bind(Money(item.total))
        .bind(item.price_observed_at);
        transaction.execute(statement).await?;
    }
    Ok(number)
}
