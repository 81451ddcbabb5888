//! `GET /live`: the store and one workflow as server-sent events, while they change.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::{Query, State},
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use stepwell::{Failure, Timestamp, Workflow as _, WorkflowId, store::Filter};

use crate::{
    checkout::checkout,
    endpoints::Refusal,
    server::Store,
    timeline::WorkflowView,
    view::{self, StoreView},
};

/// How often the database is looked at when nobody says that it has changed.
const TICK: Duration = Duration::from_millis(250);

/// When the browser opens the stream again after it broke.
const RETRY: Duration = Duration::from_millis(300);

/// Which workflow to show; the newest checkout if none is named.
#[derive(Debug, Deserialize)]
pub(crate) struct Watch {
    watch: Option<String>,
}

/// Opens a stream, which ends when the application stops.
pub(crate) async fn live(
    State(store): State<Store>,
    Query(watch): Query<Watch>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    // Here, and not at each look: an id that cannot be would be refused several times a second.
    if let Some(id) = &watch.watch {
        WorkflowId::new(id).map_err(stepwell::Error::from)?;
    }
    let live = Live {
        store,
        watch: watch.watch,
        shown: None,
        workflow: None,
        watched: Vec::new(),
        events: VecDeque::from([Event::default().retry(RETRY)]),
        begun: false,
    };
    let events = stream::unfold(live, |mut live| async move {
        let event = live.next().await?;
        Some((Ok(event), live))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// One open page.
struct Live {
    store: Store,
    watch: Option<String>,
    /// What was sent last.
    shown: Option<StoreView>,
    workflow: Option<String>,
    /// The workflow on the page and its children.
    watched: Vec<String>,
    events: VecDeque<Event>,
    begun: bool,
}

/// The store, and when it was so: the page's clocks follow ours.
#[derive(Serialize)]
struct Stamped<'a> {
    #[serde(flatten)]
    view: &'a StoreView,
    now: Timestamp,
}

impl Live {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.begun {
                let app = self.store.app.clone();
                tokio::select! {
                    () = app.stopping() => return None,
                    () = self.changed() => {}
                }
            }
            self.begun = true;
            if let Err(error) = self.look().await {
                tracing::warn!(
                    error = error.to_string(),
                    "could not read what the page shows"
                );
            }
        }
    }

    /// Waits until a workflow on the page has recorded something, or for the next tick.
    async fn changed(&self) {
        let client = self.store.app.client();
        let watched = self.watched.iter().map(|id| async move {
            if client.changed(id, TICK).await.is_err() {
                tokio::time::sleep(TICK).await;
            }
        });
        let tick = Box::pin(tokio::time::sleep(TICK));
        let mut waits: Vec<stepwell::BoxFuture<'_, ()>> = vec![tick];
        waits.extend(watched.map(|wait| Box::pin(wait) as _));
        futures_util::future::select_all(waits).await;
    }

    /// Queues an event for what has changed.
    async fn look(&mut self) -> stepwell::Result<()> {
        let view = StoreView::read(&self.store).await?;
        if self.shown.as_ref() != Some(&view) {
            let now = Timestamp::now();
            let data = serde_json::to_string(&Stamped { view: &view, now })?;
            self.events
                .push_back(Event::default().event("store").data(data));
            self.shown = Some(view);
        }
        if let Some(workflow) = self.workflow_view().await? {
            self.watched = std::iter::once(&workflow)
                .chain(&workflow.children)
                .map(|workflow| workflow.id.clone())
                .collect();
            let data = serde_json::to_string(&workflow)?;
            if self.workflow.as_ref() != Some(&data) {
                let event = Event::default().event("workflow").data(&data);
                self.events.push_back(event);
                self.workflow = Some(data);
            }
        }
        Ok(())
    }

    async fn workflow_view(&self) -> Result<Option<WorkflowView>, Failure> {
        let client = self.store.app.client();
        let workflow = match &self.watch {
            Some(id) => client.get(id).await?,
            None => {
                let newest = Filter {
                    name: Some(checkout::NAME.to_owned()),
                    limit: 1,
                    ..Filter::default()
                };
                client.list(newest).await?.into_iter().next()
            }
        };
        let Some(workflow) = workflow else {
            return Ok(None);
        };
        let deaths = view::deaths(&self.store).await?;
        Ok(Some(WorkflowView::of(client, workflow, &deaths).await?))
    }
}
