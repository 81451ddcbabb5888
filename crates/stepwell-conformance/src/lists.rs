//! Lists of workflows: every filter, newest first, in pages.

use serde_json::json;
use stepwell_core::{
    State,
    store::{Change, Filter, NewWorkflow},
};

use crate::{
    Backend,
    fixture::{Case, MINUTE, limits, queued, with_delay, with_name, workflow},
};

fn with_attribute(workflow_id: &str, name: &str, value: &str) -> NewWorkflow {
    NewWorkflow {
        attributes: vec![(name.to_owned(), value.to_owned())],
        ..workflow(workflow_id)
    }
}

fn by_prefix(prefix: &str) -> Filter {
    Filter {
        id_prefix: Some(prefix.to_owned()),
        ..Filter::default()
    }
}

fn by_attribute(name: &str, value: &str) -> Filter {
    Filter {
        attribute: Some((name.to_owned(), value.to_owned())),
        ..Filter::default()
    }
}

/// An empty database has an empty list.
pub async fn an_empty_database_lists_nothing(backend: &dyn Backend) {
    let case = Case::new(backend).await;

    assert!(case.list(Filter::default()).await.is_empty());
}

/// "Newest first."
pub async fn the_newest_come_first(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    for workflow_id in ["b", "a", "c"] {
        case.enqueue(workflow_id).await;
    }

    assert_eq!(case.list(Filter::default()).await, ["c", "a", "b"]);
}

/// A list shows the rows that a look at one workflow shows.
pub async fn a_list_shows_whole_rows(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.new_workflow(with_attribute("order-1", "customer", "ada"))
        .await;
    let worker = case.register().await;
    worker.claim(1).await;

    let listed = case
        .store
        .list(Filter::default())
        .await
        .expect("a list can be read");
    assert_eq!(listed, [case.find("order-1").await]);
}

/// "Any of these states; all when empty."
pub async fn a_filter_by_states_lets_any_of_them_through(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let worker = case.register().await;
    let done = worker.start("succeeded").await;
    worker.succeed(done, json!(1)).await;
    worker.start("running").await;
    case.enqueue("enqueued").await;
    case.new_workflow(with_delay("delayed", MINUTE)).await;
    let states = |states: &[State]| Filter {
        states: states.to_vec(),
        ..Filter::default()
    };

    assert_eq!(case.list(states(&[State::Succeeded])).await, ["succeeded"]);
    let two = states(&[State::Enqueued, State::Running]);
    assert_eq!(case.list(two).await, ["enqueued", "running"]);
    assert!(
        case.list(states(&[State::Dead, State::Stuck]))
            .await
            .is_empty()
    );
    assert_eq!(case.list(states(&State::ALL)).await.len(), 4);
}

/// A filter by the name of the function.
pub async fn a_filter_by_name_is_exact(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.new_workflow(with_name("1", "refund")).await;
    case.new_workflow(with_name("2", "refund_all")).await;
    case.new_workflow(with_name("3", "Refund")).await;

    let filter = Filter {
        name: Some("refund".to_owned()),
        ..Filter::default()
    };
    assert_eq!(case.list(filter).await, ["1"]);
}

/// A filter by queue: also what has left it.
pub async fn a_filter_by_queue_lets_its_workflows_through(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let none = limits(None, None);
    case.new_workflow(queued("1", "mail", none)).await;
    case.register().await.claim(1).await;
    case.new_workflow(queued("2", "print", none)).await;
    case.new_workflow(queued("3", "mail", none)).await;
    case.enqueue("4").await;

    let filter = Filter {
        queue: Some("mail".to_owned()),
        ..Filter::default()
    };
    assert_eq!(case.list(filter).await, ["3", "1"]);
}

/// "Ids that begin with this."
pub async fn a_filter_by_prefix_looks_at_the_beginning(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    for workflow_id in ["order-1", "order-10", "reorder-1", "order"] {
        case.enqueue(workflow_id).await;
    }

    assert_eq!(
        case.list(by_prefix("order-")).await,
        ["order-10", "order-1"]
    );
    assert_eq!(case.list(by_prefix("")).await.len(), 4);
}

/// A prefix is text: neither a pattern nor without case.
pub async fn a_prefix_is_no_pattern(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    for workflow_id in ["a_1", "ab1", "a%1", "A_1", "a*1", "a[b]", "a\\_1"] {
        case.enqueue(workflow_id).await;
    }

    assert_eq!(case.list(by_prefix("a_")).await, ["a_1"]);
    assert_eq!(case.list(by_prefix("a%")).await, ["a%1"]);
    assert_eq!(case.list(by_prefix("a*")).await, ["a*1"]);
    assert_eq!(case.list(by_prefix("a[b]")).await, ["a[b]"]);
    assert_eq!(case.list(by_prefix("a\\")).await, ["a\\_1"]);
}

/// A prefix may end anywhere, also before the largest character.
pub async fn a_prefix_may_be_of_any_characters(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    for workflow_id in ["größe-1", "größe", "grün", "\u{10ffff}1", "\u{d7ff}1"] {
        case.enqueue(workflow_id).await;
    }

    assert_eq!(case.list(by_prefix("größ")).await, ["größe", "größe-1"]);
    assert_eq!(case.list(by_prefix("\u{10ffff}")).await, ["\u{10ffff}1"]);
    assert_eq!(case.list(by_prefix("\u{d7ff}")).await, ["\u{d7ff}1"]);
}

/// "An attribute with this name and value": both, of the same attribute.
pub async fn a_filter_by_attribute_asks_for_name_and_value(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    case.new_workflow(with_attribute("1", "customer", "ada"))
        .await;
    case.new_workflow(with_attribute("2", "customer", "bob"))
        .await;
    case.new_workflow(with_attribute("3", "seller", "ada"))
        .await;

    assert_eq!(case.list(by_attribute("customer", "ada")).await, ["1"]);
    assert!(case.list(by_attribute("seller", "bob")).await.is_empty());
}

/// An attribute is text: what means something in JSON or SQL means nothing here.
pub async fn an_attribute_is_no_path(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let name = r#"it's.a["$"] "name""#;
    case.new_workflow(with_attribute("1", name, "100%")).await;
    case.new_workflow(with_attribute("2", "it", "100")).await;

    assert_eq!(case.list(by_attribute(name, "100%")).await, ["1"]);
    assert_eq!(case.list(by_attribute("it", "100")).await, ["2"]);
}

/// "Started at this instant or later"; "started before this instant".
pub async fn a_filter_by_time_begins_at_one_instant_and_ends_before_another(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    for workflow_id in ["1", "2", "3"] {
        case.enqueue(workflow_id).await;
        case.advance(MINUTE).await;
    }
    let at = |row: stepwell_core::store::Workflow| Some(row.created_at);
    let (second, third) = (at(case.find("2").await), at(case.find("3").await));

    let from = Filter {
        created_from: second,
        ..Filter::default()
    };
    assert_eq!(case.list(from.clone()).await, ["3", "2"]);
    let before = Filter {
        created_before: second,
        ..Filter::default()
    };
    assert_eq!(case.list(before).await, ["1"]);
    let between = Filter {
        created_before: third,
        ..from
    };
    assert_eq!(case.list(between).await, ["2"]);
}

/// "Only those older than this one: the last of the page before."
pub async fn a_list_is_read_in_pages(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    for workflow_id in ["1", "2", "3", "4", "5"] {
        case.enqueue(workflow_id).await;
    }
    let mut filter = Filter {
        limit: 2,
        ..Filter::default()
    };
    let mut pages = Vec::new();

    for _ in 0..3 {
        let page = case.list(filter.clone()).await;
        filter.before = Some(
            case.find(page.last().expect("a page is not empty"))
                .await
                .key,
        );
        pages.push(page);
    }
    assert_eq!(pages, [vec!["5", "4"], vec!["3", "2"], vec!["1"]]);
    assert!(case.list(filter).await.is_empty());
}

/// "How many at most; 100 when it is 0, never more than 1,000."
pub async fn a_page_has_bounds(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let start = |number| Change::Start(workflow(&format!("order-{number}")));
    case.commit((0..1_001).map(start).collect()).await;
    let page = |limit| Filter {
        limit,
        ..Filter::default()
    };

    assert_eq!(case.list(page(0)).await.len(), 100);
    assert_eq!(case.list(page(1)).await, ["order-1000"]);
    assert_eq!(case.list(page(u32::MAX)).await.len(), 1_000);
}

/// "Every condition that is given must hold", on every page.
pub async fn every_condition_must_hold(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    for workflow_id in ["order-1", "order-2", "other-3", "order-4"] {
        case.new_workflow(with_attribute(workflow_id, "customer", "ada"))
            .await;
    }
    case.new_workflow(with_attribute("order-5", "customer", "bob"))
        .await;
    case.cancel("order-4").await;
    let filter = Filter {
        states: vec![State::Enqueued],
        name: Some("checkout".to_owned()),
        limit: 1,
        id_prefix: Some("order-".to_owned()),
        ..by_attribute("customer", "ada")
    };

    assert_eq!(case.list(filter.clone()).await, ["order-2"]);
    let before = Some(case.find("order-2").await.key);
    assert_eq!(case.list(Filter { before, ..filter }).await, ["order-1"]);
}
