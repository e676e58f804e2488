//! Bringing tables up to date.

use storage::testing::TestDatabase;
use storage::{Migration, QueryType, Statement, StorageError};

use crate::support::{Kept, THINGS, until};

const MORE: Migration = Migration {
    version: 2,
    name: "more",
    sqlite: "ALTER TABLE things ADD COLUMN more TEXT; INSERT INTO things (id, more) VALUES (1, 'once');",
    postgres: "ALTER TABLE things ADD COLUMN more TEXT; INSERT INTO things (id, more) VALUES (1, 'once');",
};

fn applied() -> Statement {
    Statement::new(QueryType::Select, "_sqlx_migrations", "SELECT version FROM _sqlx_migrations ORDER BY version")
}

fn more() -> Statement {
    Statement::new(QueryType::Select, "things", "SELECT more FROM things")
}

pub(crate) async fn several_processes_migrate_at_once(test: TestDatabase) {
    let many: Vec<Kept> = (0..6).map(|_| Kept::open(&test.settings(), vec![MORE, THINGS])).collect();
    for kept in &many {
        kept.wait_until_ready().await;
        assert_eq!(kept.database.fetch_all::<(i64,)>(applied()).await.unwrap(), [(1,), (2,)]);
        assert_eq!(kept.database.fetch_all::<(String,)>(more()).await.unwrap(), [("once".to_owned(),)]);
    }
    if let Some(folder) = test.folder() {
        use std::os::unix::fs::PermissionsExt as _;
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", entry.path().display());
        }
    }
}

pub(crate) async fn further_migrations_are_applied_later(test: TestDatabase) {
    drop(Kept::ready(&test).await);
    let kept = Kept::open(&test.settings(), vec![THINGS, MORE]);
    kept.wait_until_ready().await;
    assert_eq!(kept.database.fetch_all::<(i64,)>(applied()).await.unwrap(), [(1,), (2,)]);
}

pub(crate) async fn changed_and_missing_migrations_are_clear_errors(test: TestDatabase) {
    let kept = Kept::open(&test.settings(), vec![THINGS, MORE]);
    kept.wait_until_ready().await;
    let changed = Migration { sqlite: "SELECT 1;", postgres: "SELECT 1;", ..MORE };
    let cases = [
        (vec![THINGS, changed], "migration 2 is not the one that was applied"),
        (vec![THINGS], "it has migration 2, which this program does not know"),
        (vec![THINGS, MORE, MORE], "two migrations with the version 2"),
    ];
    for (migrations, sentence) in cases {
        let wrong = Kept::open(&test.settings(), migrations);
        until(sentence, async || match wrong.database.ready().await {
            Err(reason) if reason.contains(sentence) => Ok(()),
            other => Err(other),
        })
        .await;
        let error = wrong.database.fetch_all::<(i64,)>(applied()).await.unwrap_err();
        assert!(matches!(&error, StorageError::Unavailable { reason } if reason.contains(sentence)), "{error}");
        let problem = web::Problem::from(error);
        assert_eq!((problem.status().as_u16(), problem.code()), (503, "database_away"));
        assert_eq!(problem.failed_upstream(), None);
    }
    kept.database.ready().await.unwrap();
}

pub(crate) async fn a_broken_migration_leaves_nothing_behind(test: TestDatabase) {
    let sql = "CREATE TABLE half (id INTEGER); INSERT INTO nowhere VALUES (1);";
    let broken = Kept::open(
        &test.settings(),
        vec![THINGS, Migration { version: 2, name: "broken", sqlite: sql, postgres: sql }],
    );
    until("the failed migration is told", async || match broken.database.ready().await {
        Err(reason) if reason.contains("migration 2 failed") && reason.contains("nowhere") => Ok(()),
        other => Err(other),
    })
    .await;
    drop(broken);
    let kept = Kept::ready(&test).await;
    let half = Statement::new(QueryType::Select, "half", "SELECT id FROM half");
    let error = kept.database.fetch_all::<(i64,)>(half).await.unwrap_err();
    assert!(matches!(error, StorageError::Query { .. }), "{error}");
}
