//! What it is explained by why a workflow does not go on.

use serde_json::json;
use stepwell_core::{
    ExecutorId, WorkflowKey,
    store::{Change, NewExecutor, NewWorkflow, QueueChange, QueueSeen, QueueUse, Renewal, Renewed},
};

use crate::{
    Backend,
    fixture::{
        Case, MINUTE, VERSION, Worker, in_queue, limits, new_executor, payload, queued, with_delay,
        with_name,
    },
};

async fn names(case: &Case<'_>) -> Vec<Option<Vec<String>>> {
    let executors = case.store.executors().await;
    let executors = executors.expect("executors can be read");
    executors.into_iter().map(|it| it.names).collect()
}

/// In the order in which it says them. One whose version does not say any is told apart.
pub async fn an_executor_says_what_it_registers(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let said = vec!["ship \"it\"".to_owned(), "charge".to_owned()];
    let new = NewExecutor {
        names: said.clone(),
        ..new_executor("shop", VERSION)
    };
    let registered = case.store.register(new).await;
    registered.expect("an executor can be registered");
    assert_eq!(names(&case).await, [Some(said)]);

    let forget = "update {schema}.executors set names = null";
    if case.behind(forget).await {
        assert_eq!(names(&case).await, [None]);
    }
}

async fn doing(case: &Case<'_>, executor: &ExecutorId) -> Option<String> {
    let doing = case.store.doing(executor).await;
    let doing = doing.expect("what an executor does can be read");
    doing.map(|doing| doing.as_str().to_owned())
}

async fn say(case: &Case<'_>, worker: &Worker, text: &str) -> Renewed {
    let renewal = Renewal {
        executor: worker.id.clone(),
        doing: Some(payload(json!([text]))),
    };
    let renewed = case.store.renew(renewal).await;
    renewed.expect("a lease can be renewed")
}

/// "None leaves what was said before": a renewal without news writes none of it.
pub async fn what_an_executor_says_of_its_runs_stays_until_it_says_more(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let (worker, other) = (case.register().await, case.register().await);
    assert_eq!(doing(&case, &worker.id).await, None);

    assert_eq!(say(&case, &worker, "charges").await, Renewed::Live);
    assert_eq!(worker.renew().await, Renewed::Live);
    assert_eq!(
        doing(&case, &worker.id).await.as_deref(),
        Some(r#"["charges"]"#)
    );
    say(&case, &worker, "ships").await;
    assert_eq!(
        doing(&case, &worker.id).await.as_deref(),
        Some(r#"["ships"]"#)
    );
    assert_eq!(doing(&case, &other.id).await, None);
    assert_eq!(doing(&case, &ExecutorId::generate()).await, None);
}

/// What it runs goes on elsewhere.
pub async fn who_has_lost_its_lease_says_nothing_more(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let zombie = case.register().await;
    say(&case, &zombie, "charges").await;
    case.let_leases_end().await;
    case.register().await.take_over().await;

    assert_eq!(say(&case, &zombie, "ships").await, Renewed::Lost);
    assert_ne!(
        doing(&case, &zombie.id).await.as_deref(),
        Some(r#"["ships"]"#)
    );
}

/// Of what waits for an executor, in queues and outside; not of what is delayed or runs.
pub async fn the_names_of_what_waits_are_told(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    for (id, name) in [
        ("order-1", "charge"),
        ("order-2", "charge"),
        ("order-3", "ship"),
    ] {
        case.new_workflow(with_name(id, name)).await;
    }
    let queued = queued("order-4", "mail", limits(None, None));
    case.new_workflow(NewWorkflow {
        name: "charge".to_owned(),
        ..queued
    })
    .await;
    case.new_workflow(with_delay("order-5", MINUTE)).await;
    case.register().await.start("order-6").await;

    let names = case.store.names_waiting().await;
    let names = names.expect("the names of what waits can be read");
    let names: Vec<_> = names
        .iter()
        .map(|it| (it.name.as_str(), it.count))
        .collect();
    assert_eq!(names, [("charge", 3), ("ship", 1)]);
}

async fn seen(case: &Case<'_>, workflow: WorkflowKey) -> Option<QueueSeen> {
    let seen = case.store.queue_of(workflow).await;
    seen.expect("the queue of a workflow can be read")
}

/// One that goes through the queue `mail` under a key.
fn mail(workflow_id: &str, key: &str) -> NewWorkflow {
    let how = |queue: &mut QueueUse| key.clone_into(&mut queue.key);
    in_queue(workflow_id, limits(Some(3), None), how)
}

/// With its own key, and what runs of that.
pub async fn the_queue_of_a_workflow_is_seen_as_it_stands_for_that_one(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    for (id, key) in [("mail-1", "ann"), ("mail-2", "bob"), ("mail-3", "")] {
        case.new_workflow(mail(id, key)).await;
    }
    case.register().await.claim(10).await;
    let waits = case.new_workflow(mail("mail-4", "ann")).await;
    let others = case.new_workflow(mail("mail-5", "eve")).await;

    let queue = seen(&case, waits).await.expect("it goes through a queue");
    assert_eq!((queue.name.as_str(), queue.key.as_str()), ("mail", "ann"));
    assert_eq!((queue.limits, queue.paused), (limits(Some(3), None), None));
    assert_eq!(
        (queue.running, queue.running_of_key, queue.started),
        (3, 1, 0)
    );
    let other = seen(&case, others).await.expect("it goes through a queue");
    assert_eq!((other.running, other.running_of_key), (3, 0));

    let pause = QueueChange::Pause {
        name: "mail".to_owned(),
        by: "ada".to_owned(),
        why: "the relay is down".to_owned(),
    };
    case.commit(vec![Change::Queue(pause)]).await;
    let paused = seen(&case, waits).await.and_then(|queue| queue.paused);
    assert_eq!(paused.expect("it is paused").by, "ada");
}

/// Nor has one that is not there.
pub async fn a_workflow_without_a_queue_has_none_to_be_seen(backend: &dyn Backend) {
    let case = Case::new(backend).await;
    let key = case.enqueue("order-1").await;

    assert_eq!(seen(&case, key).await, None);
    assert_eq!(seen(&case, WorkflowKey(4_711)).await, None);
}
