//! Pipelines in the store.

use domain::PageQuery;
use pipeline::store::StoreError;
use storage::testing::TestDatabase;

use crate::world::{World, request, t};

pub(crate) async fn a_pipeline_is_made_changed_and_deleted(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    let made = store.create(&request("one"), t(0)).await.unwrap();
    assert_eq!((made.revision, made.created_at, made.updated_at), (1, t(0), t(0)));
    assert_eq!(store.pipeline(&made.pipeline_id).await.unwrap(), Some(made.clone()));
    let changed = store.replace(&made.pipeline_id, Some(1), &request("two"), t(5)).await.unwrap().pipeline;
    assert_eq!((changed.revision, changed.created_at, changed.updated_at), (2, t(0), t(5)));
    assert_eq!(changed.request.name, "two");
    assert_eq!(store.pipeline(&made.pipeline_id).await.unwrap(), Some(changed));
    let stale = store.replace(&made.pipeline_id, Some(1), &request("three"), t(6)).await;
    assert!(matches!(stale, Err(StoreError::Stale { current: 2 })), "{stale:?}");
    let stale = store.delete(&made.pipeline_id, Some(3), t(6)).await;
    assert!(matches!(stale, Err(StoreError::Stale { current: 2 })), "{stale:?}");
    // Whoever does not care.
    assert_eq!(store.replace(&made.pipeline_id, None, &request("two"), t(7)).await.unwrap().pipeline.revision, 3);
    assert_eq!(store.delete(&made.pipeline_id, Some(3), t(8)).await.unwrap(), []);
    assert_eq!(store.pipeline(&made.pipeline_id).await.unwrap(), None);
    for gone in [
        store.replace(&made.pipeline_id, None, &request("two"), t(9)).await.map(drop),
        store.delete(&made.pipeline_id, None, t(9)).await.map(drop),
    ] {
        assert!(matches!(gone, Err(StoreError::NoPipeline)), "{gone:?}");
    }
}

pub(crate) async fn a_name_is_one_pipeline_s(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    let one = store.create(&request("one"), t(0)).await.unwrap();
    let two = store.create(&request("two"), t(0)).await.unwrap();
    assert!(matches!(store.create(&request("one"), t(1)).await, Err(StoreError::NameTaken)));
    let taken = store.replace(&two.pipeline_id, Some(1), &request("one"), t(1)).await;
    assert!(matches!(taken, Err(StoreError::NameTaken)), "{taken:?}");
    // It is free with the pipeline that had it, and names differ by their letters' case, too.
    store.delete(&one.pipeline_id, None, t(2)).await.unwrap();
    store.create(&request("one"), t(3)).await.unwrap();
    store.create(&request("ONE"), t(3)).await.unwrap();
    // What was refused has changed nothing.
    assert_eq!(store.pipeline(&two.pipeline_id).await.unwrap(), Some(two));
}

pub(crate) async fn of_two_that_take_a_name_one_has_it(database: TestDatabase) {
    let (one, two) = (World::open(&database).await, World::open(&database).await);
    for round in 0..10 {
        let wanted = request(&format!("name {round}"));
        let (first, second) =
            futures_util::join!(one.store.create(&wanted, t(round)), two.store.create(&wanted, t(round)));
        let made = [&first, &second].into_iter().filter(|made| made.is_ok()).count();
        let refused = [&first, &second].into_iter().filter(|made| matches!(made, Err(StoreError::NameTaken))).count();
        assert_eq!((made, refused), (1, 1), "{first:?} {second:?}");
    }
}

pub(crate) async fn of_two_that_change_a_revision_one_does(database: TestDatabase) {
    let (one, two) = (World::open(&database).await, World::open(&database).await);
    let made = one.pipeline("one").await;
    for revision in 1..=10 {
        let (first, second) = futures_util::join!(
            one.store.replace(&made.pipeline_id, Some(revision), &made.request, t(revision)),
            two.store.replace(&made.pipeline_id, Some(revision), &made.request, t(revision)),
        );
        let changed = [&first, &second].into_iter().filter(|changed| changed.is_ok()).count();
        assert_eq!(changed, 1, "{first:?} {second:?}");
        let stale = if first.is_ok() { second } else { first };
        assert!(matches!(&stale, Err(StoreError::Stale { current }) if *current == revision + 1), "{stale:?}");
    }
}

pub(crate) async fn they_are_read_in_pages(database: TestDatabase) {
    let world = World::open(&database).await;
    for number in 0..5 {
        let mut wanted = request(&format!("p{number}"));
        wanted.enabled = number % 2 == 0;
        let made = world.store.create(&wanted, t(number)).await.unwrap();
        if number == 2 {
            world.store.delete(&made.pipeline_id, None, t(9)).await.unwrap();
        }
    }
    let names = async |limit: &str, cursor: Option<String>, enabled| {
        let query = PageQuery { limit: Some(limit.to_owned()), cursor };
        let page = world.store.pipelines(&query, enabled).await.unwrap();
        let names: Vec<String> = page.items.into_iter().map(|pipeline| pipeline.request.name).collect();
        (names.join(" "), page.next_cursor)
    };
    let (first, cursor) = names("2", None, None).await;
    assert_eq!(first, "p4 p3");
    assert_eq!(names("2", cursor, None).await, ("p1 p0".to_owned(), None));
    assert_eq!(names("10", None, Some(true)).await.0, "p4 p0");
    assert_eq!(names("10", None, Some(false)).await.0, "p3 p1");
}

/// A cache asks for what has changed since it asked last, and so knows everything.
pub(crate) async fn changes_are_told_in_their_order(database: TestDatabase) {
    let world = World::open(&database).await;
    let store = &world.store;
    assert_eq!(store.clock().await.unwrap(), 0);
    let one = store.create(&request("one"), t(0)).await.unwrap();
    let two = store.create(&request("two"), t(0)).await.unwrap();
    let clock = store.clock().await.unwrap();
    let told = store.changes(0, 100).await.unwrap();
    assert_eq!(told.iter().map(|change| change.pipeline.clone().unwrap()).collect::<Vec<_>>(), [one.clone(), two]);
    assert_eq!(told.last().unwrap().change_number, clock);
    assert_eq!(store.changes(clock, 100).await.unwrap(), []);
    // What was refused is no change.
    store.create(&request("two"), t(1)).await.unwrap_err();
    assert_eq!(store.clock().await.unwrap(), clock);
    store.delete(&one.pipeline_id, None, t(1)).await.unwrap();
    let told = store.changes(clock, 100).await.unwrap();
    assert_eq!((told.len(), &told[0].pipeline_id, &told[0].pipeline), (1, &one.pipeline_id, &None));
    assert_eq!(told[0].change_number, store.clock().await.unwrap());
    // In pages.
    let first = store.changes(0, 1).await.unwrap();
    let rest = store.changes(first[0].change_number, 1).await.unwrap();
    assert_eq!(rest, told, "the one that was changed last comes last");
}

/// A change that is committed later has the higher number: nobody who has asked misses one.
pub(crate) async fn no_change_becomes_visible_behind_one_s_back(database: TestDatabase) {
    let (writer, reader) = (World::open(&database).await, World::open(&database).await);
    let writers = (0..4).map(|number| {
        let store = writer.store.clone();
        actix_web::rt::spawn(async move {
            for round in 0..10 {
                store.create(&request(&format!("{number} {round}")), t(0)).await.unwrap();
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let (mut seen, mut known) = (0, 0);
    web::testing::eventually("all are seen", async || {
        for change in reader.store.changes(known, 7).await.unwrap() {
            assert_eq!(change.change_number, known + 1, "none was left out");
            known = change.change_number;
            seen += 1;
        }
        (seen == 40).then_some(())
    })
    .await;
    for writer in writers {
        writer.await.unwrap();
    }
}

pub(crate) async fn what_was_loaded_once_is_not_loaded_again(database: TestDatabase) {
    let (one, two) = (World::open(&database).await, World::open(&database).await);
    one.pipeline("b").await;
    let examples = [request("a"), request("b"), request("c")];
    let loaded = futures_util::join!(
        one.store.load_once("examples", &examples, t(1)),
        two.store.load_once("examples", &examples, t(1))
    );
    let mut loaded = [loaded.0.unwrap(), loaded.1.unwrap()];
    loaded.sort();
    assert_eq!(loaded, [None, Some(2)], "once, and the one whose name is taken is left out");
    for pipeline in one.store.pipelines(&PageQuery::default(), None).await.unwrap().items {
        one.store.delete(&pipeline.pipeline_id, None, t(2)).await.unwrap();
    }
    assert_eq!(one.store.load_once("examples", &examples, t(3)).await.unwrap(), None);
    assert_eq!(one.store.pipelines(&PageQuery::default(), None).await.unwrap().items, []);
}
