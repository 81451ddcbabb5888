//! The reads behind [`Client::explain`]. The rule is in `why`.

use super::Client;
use crate::{
    doing,
    error::Error,
    store::StoreError,
    why::{Facts, Why, explain},
    workflow::{State, Workflow},
};

impl Client {
    /// Says why a workflow does not go on, or what it does right now. The operations of a running one are
    /// known as of the last renewal of its executor's lease: some seconds ago at most.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no such workflow.
    pub async fn explain(&self, id: &str) -> Result<Why, Error> {
        let workflow = self.existing(id).await?;
        let facts = self.facts(workflow).await;
        let facts = facts.map_err(|error| Error::of_store(&format!("explain `{id}`"), error))?;
        Ok(explain(facts))
    }

    /// Reads what the state of a workflow asks for. It may go on meanwhile: the answer is about the row.
    async fn facts(&self, workflow: Workflow) -> Result<Facts, StoreError> {
        let store = &self.0.store;
        let key = workflow.key;
        let mut facts = Facts {
            workflow,
            executors: Vec::new(),
            queue: None,
            doing: Vec::new(),
            now: self.now(),
        };
        match (facts.workflow.state, &facts.workflow.executor) {
            (State::Enqueued, _) => {
                facts.executors = store.executors().await?;
                facts.queue = store.queue_of(key).await?;
            }
            (State::Running, Some(executor)) => {
                let said = store.doing(executor).await?;
                facts.doing = said
                    .map(|said| doing::decode(&said, key))
                    .unwrap_or_default();
                facts.executors = store.executors().await?;
            }
            _ => {}
        }
        Ok(facts)
    }
}
