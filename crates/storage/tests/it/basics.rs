//! Statements and transactions.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use storage::testing::TestDatabase;
use storage::{FromRow, Money, QueryType, Statement, StorageError};

use crate::support::Kept;

#[derive(Debug, PartialEq, FromRow)]
struct Thing {
    id: i64,
    name: Option<String>,
    price: Option<Money>,
    sold: Option<bool>,
    at: Option<DateTime<Utc>>,
    extra: Option<Value>,
}

fn insert(thing: &Thing) -> Statement {
    Statement::new(
        QueryType::Insert,
        "things",
        "INSERT INTO things (id, name, price, sold, at, extra) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(thing.id)
    .bind(thing.name.as_deref())
    .bind(thing.price)
    .bind(thing.sold)
    .bind(thing.at)
    .bind(thing.extra.as_ref())
}

fn thing(id: i64, name: &str) -> Thing {
    Thing { id, name: Some(name.to_owned()), price: None, sold: None, at: None, extra: None }
}

fn select(id: i64) -> Statement {
    Statement::new(QueryType::Select, "things", "SELECT * FROM things WHERE id = $1").bind(id)
}

fn count() -> Statement {
    Statement::new(QueryType::Select, "things", "SELECT COUNT(*) FROM things")
}

pub(crate) async fn every_kind_of_value_comes_back_as_it_was(test: TestDatabase) {
    let kept = Kept::ready(&test).await;
    let full = Thing {
        id: i64::MAX,
        name: Some("K\u{e4}se '; DROP TABLE things; -- \u{1f9c0}".to_owned()),
        price: Some(Money("46224.000000001".parse().unwrap())),
        sold: Some(true),
        at: Some("2026-02-28T23:59:59.123456Z".parse().unwrap()),
        extra: Some(json!({"a": [1, 2.5, null, "\u{e9}"], "b": {}})),
    };
    let empty = Thing { id: 1, name: None, price: None, sold: None, at: None, extra: None };
    assert_eq!(kept.database.execute(insert(&full)).await.unwrap(), 1);
    assert_eq!(kept.database.execute(insert(&empty)).await.unwrap(), 1);
    assert_eq!(kept.database.fetch_one::<Thing>(select(full.id)).await.unwrap(), full);
    assert_eq!(kept.database.fetch_optional::<Thing>(select(1)).await.unwrap(), Some(empty));
    assert_eq!(kept.database.fetch_optional::<Thing>(select(2)).await.unwrap(), None);
    assert_eq!(kept.database.fetch_all::<(i64,)>(count()).await.unwrap(), [(2,)]);

    // Times compare and sort as times, whatever their fractions.
    for (id, at) in [(10, "2026-01-01T00:00:01.5Z"), (11, "2026-01-01T00:00:01Z"), (12, "2026-01-01T00:00:01.25Z")] {
        let thing = Thing { at: Some(at.parse().unwrap()), ..thing(id, at) };
        kept.database.execute(insert(&thing)).await.unwrap();
    }
    let sorted =
        Statement::new(QueryType::Select, "things", "SELECT id FROM things WHERE at > $1 AND at <= $2 ORDER BY at")
            .bind("2026-01-01T00:00:01Z".parse::<DateTime<Utc>>().unwrap())
            .bind("2026-01-01T00:00:01.5Z".parse::<DateTime<Utc>>().unwrap());
    assert_eq!(kept.database.fetch_all::<(i64,)>(sorted).await.unwrap(), [(12,), (10,)]);
}

pub(crate) async fn money_is_exact_and_never_a_float(test: TestDatabase) {
    let kept = Kept::ready(&test).await;
    // None of these is a float; PostgreSQL and SQLite keep the digits that are there.
    let amounts = ["0.1", "0.10", "-79228162514264337593543950335", "0.0000000000000000000000000001", "0", "19.99"];
    for (id, amount) in (1..).zip(amounts) {
        let exact: Decimal = amount.parse().unwrap();
        kept.database.execute(insert(&Thing { price: Some(Money(exact)), ..thing(id, amount) })).await.unwrap();
        let back = kept.database.fetch_one::<Thing>(select(id)).await.unwrap().price.unwrap();
        assert_eq!(back.0.to_string(), amount);
    }
    // A number that is no text has been a float in SQLite: it is refused, not rounded.
    let float = Statement::new(QueryType::Select, "things", "SELECT 0.1e0 + 0.2e0 AS price");
    if test.engine() == "sqlite" {
        let error = kept.database.fetch_one::<(Money,)>(float).await.unwrap_err();
        assert!(matches!(error, StorageError::Malformed { .. }), "{error}");
    }
}

pub(crate) async fn a_transaction_is_all_or_nothing(test: TestDatabase) {
    let kept = Kept::ready(&test).await;
    let mut transaction = kept.database.begin().await.unwrap();
    transaction.execute(insert(&thing(1, "kept"))).await.unwrap();
    let inserted: (i64,) = transaction.fetch_one(count()).await.unwrap();
    assert_eq!(inserted, (1,), "it sees its own rows");
    assert_eq!(kept.database.fetch_one::<(i64,)>(count()).await.unwrap(), (0,), "others do not see them yet");
    transaction.commit().await.unwrap();
    assert_eq!(kept.database.fetch_one::<(i64,)>(count()).await.unwrap(), (1,));

    let mut dropped = kept.database.begin().await.unwrap();
    dropped.execute(insert(&thing(2, "lost"))).await.unwrap();
    drop(dropped);
    let mut undone = kept.database.begin().await.unwrap();
    undone.execute(insert(&thing(2, "undone"))).await.unwrap();
    undone.rollback().await.unwrap();
    // A row that comes back from a write is a row like any other.
    let returned =
        Statement::new(QueryType::Insert, "things", "INSERT INTO things (id) VALUES ($1) RETURNING id").bind(2);
    assert_eq!(kept.database.fetch_one::<(i64,)>(returned).await.unwrap(), (2,));
    assert_eq!(kept.database.fetch_one::<(i64,)>(count()).await.unwrap(), (2,));
}

pub(crate) async fn errors_say_what_is_wrong(test: TestDatabase) {
    let kept = Kept::ready(&test).await;
    let database = &kept.database;
    database.execute(insert(&thing(1, "one"))).await.unwrap();
    let sqlite = test.engine() == "sqlite";

    let conflict = database.execute(insert(&thing(1, "two"))).await.unwrap_err();
    let constraint = if sqlite { "things.id" } else { "things_pkey" };
    assert_eq!(conflict, StorageError::Conflict { constraint: constraint.to_owned() });
    let conflict = database.execute(insert(&thing(2, "one"))).await.unwrap_err();
    let constraint = if sqlite { "things.name" } else { "things_name_key" };
    assert_eq!(conflict, StorageError::Conflict { constraint: constraint.to_owned() });

    let check = database.execute(insert(&thing(-1, "minus"))).await.unwrap_err();
    assert_eq!(check, StorageError::Rejected { constraint: "things_id_check".to_owned() });
    let orphan = Statement::new(QueryType::Insert, "parts", "INSERT INTO parts VALUES ($1, $2)").bind(99).bind(1);
    assert!(matches!(database.execute(orphan).await.unwrap_err(), StorageError::Rejected { .. }));

    let missing = database.fetch_one::<Thing>(select(7)).await.unwrap_err();
    assert_eq!(missing, StorageError::NotFound { collection: "things" });
    let null = Statement::new(QueryType::Select, "things", "SELECT price FROM things");
    let malformed = database.fetch_one::<(Money,)>(null).await.unwrap_err();
    assert!(matches!(malformed, StorageError::Malformed { .. }), "{malformed}");
    let unknown = Statement::new(QueryType::Select, "nothing", "SELECT * FROM nothing");
    let query = database.fetch_one::<(i64,)>(unknown).await.unwrap_err();
    assert!(matches!(&query, StorageError::Query { message, .. } if message.contains("nothing")), "{query}");

    // The database is fine, and nothing of the inside is told to callers.
    database.ready().await.unwrap();
    let problem = web::Problem::from(query);
    assert_eq!((problem.status().as_u16(), problem.code(), problem.failed_upstream()), (500, "internal", None));
    assert!(!problem.detail().contains("nothing"), "{problem}");
}

pub(crate) async fn a_failed_transaction_can_only_be_rolled_back(test: TestDatabase) {
    let kept = Kept::ready(&test).await;
    let mut transaction = kept.database.begin().await.unwrap();
    transaction.execute(insert(&thing(1, "one"))).await.unwrap();
    transaction.execute(insert(&thing(1, "again"))).await.unwrap_err();
    assert_eq!(transaction.execute(insert(&thing(2, "two"))).await.unwrap_err(), StorageError::Aborted);
    assert_eq!(transaction.commit().await.unwrap_err(), StorageError::Aborted);
    assert_eq!(kept.database.fetch_one::<(i64,)>(count()).await.unwrap(), (0,));
}

/// Two processes (two handles), many tasks each: nobody loses an update, nobody fails.
pub(crate) async fn writers_wait_for_each_other(test: TestDatabase) {
    let (one, two) = (Kept::ready(&test).await, Kept::ready(&test).await);
    one.database.execute(insert(&thing(1, "counter"))).await.unwrap();
    let part = Statement::new(QueryType::Insert, "parts", "INSERT INTO parts VALUES ($1, $2)").bind(1).bind(0);
    one.database.execute(part).await.unwrap();
    let tasks = (0..40).map(|number| {
        let database = if number % 2 == 0 { one.database.clone() } else { two.database.clone() };
        actix_web::rt::spawn(async move {
            let read = "SELECT amount FROM parts WHERE thing = $1";
            // PostgreSQL locks the row; SQLite has locked the file.
            let read = if database.engine() == "sqlite" {
                read
            } else {
                "SELECT amount FROM parts WHERE thing = $1 FOR UPDATE"
            };
            let mut transaction = database.begin().await?;
            let (amount,): (i64,) =
                transaction.fetch_one(Statement::new(QueryType::Select, "parts", read).bind(1)).await?;
            let write = Statement::new(QueryType::Update, "parts", "UPDATE parts SET amount = $2 WHERE thing = $1");
            transaction.execute(write.bind(1).bind(amount + 1)).await?;
            transaction.commit().await
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    let amount = Statement::new(QueryType::Select, "parts", "SELECT amount FROM parts");
    assert_eq!(one.database.fetch_one::<(i64,)>(amount).await.unwrap(), (40,));
}
