//! Reads of the store, compared with the model.

use stepwell_core::{
    State, WorkflowId,
    store::{Filter, Message, Workflow},
};

use super::{
    model::{Model, Row},
    play::{Play, read},
    resolve::{EVENTS, NAMES, STREAMS, TOPICS, queue_name, workflow_id},
    same::same,
    steps::IDS,
};

impl Play<'_> {
    /// After a step: everything that is listed, and all that belongs to a workflow that changed.
    pub(super) async fn compare(&mut self, before: &Model) -> Result<(), String> {
        self.compare_lists(Filter::default()).await?;
        self.compare_others().await?;
        for place in 0..self.model.workflows.len() {
            let is_deleted = self.model.workflows[place].is_deleted;
            if !is_deleted && before.workflows.get(place) != self.model.workflows.get(place) {
                self.compare_workflow(place).await?;
            }
        }
        Ok(())
    }

    /// After the last step: every workflow, and lists by every filter.
    pub(super) async fn compare_all(&mut self) -> Result<(), String> {
        for place in 0..self.model.workflows.len() {
            if !self.model.workflows[place].is_deleted {
                self.compare_workflow(place).await?;
            }
        }
        for number in 0..IDS {
            let id = workflow_id(number);
            let is_there = read(self.store.find(&id)).await?.is_some();
            same("a workflow", &is_there, &self.model.key_of(&id).is_some())?;
        }
        for filter in self.filters() {
            self.compare_lists(filter).await?;
        }
        Ok(())
    }

    fn filters(&self) -> Vec<Filter> {
        let some = || Filter::default();
        let mut filters: Vec<Filter> = State::ALL
            .iter()
            .map(|state| Filter {
                states: vec![*state],
                ..some()
            })
            .collect();
        filters.push(Filter {
            states: vec![State::Running, State::Failed],
            limit: 2,
            ..some()
        });
        filters.push(Filter {
            name: Some(NAMES[0].to_owned()),
            ..some()
        });
        filters.push(Filter {
            queue: Some(queue_name(0)),
            ..some()
        });
        filters.push(Filter {
            id_prefix: Some("w1".to_owned()),
            ..some()
        });
        filters.push(Filter {
            attribute: Some(("a0".into(), "1".into())),
            ..some()
        });
        if let Some(middle) = self.model.workflows.get(self.model.workflows.len() / 2) {
            filters.push(Filter {
                before: Some(middle.workflow.key),
                limit: 3,
                ..some()
            });
        }
        filters
    }

    /// Compares a list; its filter has the model's key.
    async fn compare_lists(&self, filter: Filter) -> Result<(), String> {
        let what = format!("the list {filter:?}");
        let most = usize::try_from(filter.page_size()).unwrap_or(usize::MAX);
        let expected = self.model.rows().map(|row| row.workflow.clone());
        let expected = expected.filter(|workflow| self.lets_through(&filter, workflow));
        let mut expected: Vec<Workflow> = expected.collect();
        self.sort(&mut expected);
        expected.reverse();
        expected.truncate(most);
        let before = filter.before.map(|key| self.keys.outward(key));
        let actual = read(self.store.list(Filter { before, ..filter })).await?;
        self.slack().all(&what, self.inward(actual), &expected)
    }

    /// With the model's keys, and with attributes by name.
    fn inward(&self, mut workflows: Vec<Workflow>) -> Vec<Workflow> {
        for workflow in &mut workflows {
            workflow.key = self.keys.inward(workflow.key);
            workflow.attributes.sort();
        }
        workflows
    }

    async fn compare_others(&self) -> Result<(), String> {
        let slack = self.slack();
        let queues = read(self.store.queues()).await?;
        slack.all("the queues", queues, &self.model.queue_infos())?;
        let schedules = read(self.store.schedules()).await?;
        let expected: Vec<_> = self.model.schedule_infos();
        slack.all("the schedules", schedules, &expected)?;
        let mut executors = read(self.store.executors()).await?;
        executors.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
        let expected = self.model.active();
        slack.all("the executors", executors, &expected)?;
        for executor in &expected {
            let keys = read(self.store.owned_keys(&executor.id)).await?;
            let owned = read(self.store.owned(&executor.id, keys)).await?;
            let mut owned: Vec<_> = owned.into_iter().map(|it| self.keys.claimed(it)).collect();
            owned.sort_by_key(|claimed| claimed.key);
            let expected = self.model.owned(&executor.id);
            let expected: Vec<_> = expected
                .iter()
                .map(|key| self.model.claimed(*key))
                .collect();
            slack.all("what an executor owns", owned, &expected)?;
        }
        let wake = read(self.store.next_wake()).await?;
        slack.instant("the next wake", wake, self.model.next_wake())
    }

    async fn compare_workflow(&mut self, place: usize) -> Result<(), String> {
        let row = self.model.workflows[place].clone();
        let id = &row.workflow.id;
        self.compare_row(&row)
            .await
            .map_err(|differs| format!("of {id}, {differs}"))?;
        self.compare_history(&row)
            .await
            .map_err(|differs| format!("of {id}, {differs}"))?;
        self.compare_values(&row)
            .await
            .map_err(|differs| format!("of {id}, {differs}"))?;
        for topic in TOPICS {
            self.compare_inbox(id, topic).await?;
        }
        Ok(())
    }

    async fn compare_row(&self, row: &Row) -> Result<(), String> {
        let key = self.keys.outward(row.workflow.key);
        let slack = self.slack();
        let found = read(self.store.find(&row.workflow.id)).await?;
        let expected = std::slice::from_ref(&row.workflow);
        slack.all(
            "the workflow",
            self.inward(found.into_iter().collect()),
            expected,
        )?;
        let (found, outcome) = read(self.store.result(key)).await?.unzip();
        slack.all(
            "the state",
            self.inward(found.into_iter().collect()),
            expected,
        )?;
        // Whoever is resumed after its cancellation has no result before, and none is made up.
        same("the result", &outcome.flatten().as_ref(), &row.result())?;
        let children = read(self.store.children(key)).await?;
        let mut expected = self.model.children(row.workflow.key);
        self.sort(&mut expected);
        slack.all("the children", self.inward(children), &expected)?;
        let takeovers = read(self.store.takeovers(key)).await?;
        slack.all("the take-overs", takeovers, &row.takeovers)
    }

    async fn compare_history(&self, row: &Row) -> Result<(), String> {
        let key = self.keys.outward(row.workflow.key);
        let expected: Vec<_> = row.records.values().cloned().collect();
        let history = read(self.store.history(key, None, 1_000)).await?;
        self.slack().all("the history", history, &expected)?;
        for (number, record) in (1..).zip(&expected) {
            let after = Some(record.place.clone());
            let page = read(self.store.history(key, after, 2)).await?;
            let end = expected.len().min(number + 2);
            self.slack()
                .all("a page of the history", page, &expected[number..end])?;
        }
        Ok(())
    }

    async fn compare_values(&self, row: &Row) -> Result<(), String> {
        let key = self.keys.outward(row.workflow.key);
        let slack = self.slack();
        let expected = row.published();
        for name in EVENTS {
            let value = read(self.store.event(key, name)).await?;
            let published = expected.iter().find(|event| event.name == name);
            same(name, &value, &published.map(|event| event.value.clone()))?;
        }
        let events = read(self.store.events(key)).await?;
        slack.all("the events", events, &expected)?;
        for name in STREAMS {
            let expected = row.stream(name);
            let entries = read(self.store.stream(key, name, 0, 100)).await?;
            slack.all(name, entries, &expected)?;
            let second = expected.get(1..2).unwrap_or_default();
            let entries = read(self.store.stream(key, name, 1, 1)).await?;
            slack.all(name, entries, second)?;
        }
        Ok(())
    }

    /// Compares an inbox, and notes the numbers of what is new there.
    async fn compare_inbox(&mut self, id: &WorkflowId, topic: &str) -> Result<(), String> {
        let Some(key) = self.model.key_of(id) else {
            return Ok(());
        };
        let actual = read(self.store.inbox(self.keys.outward(key), topic, 1_000)).await?;
        if !actual.is_sorted_by(|a, b| a.number < b.number) {
            return Err(format!("the inbox of {id} is out of order: {actual:?}"));
        }
        self.model.number(key, topic, &actual);
        let row = self.model.row(key);
        let expected = row.map(|row| row.inbox(topic)).unwrap_or_default();
        let expected = expected.into_iter().map(|letter| Message {
            number: letter.number.unwrap_or_default(),
            payload: letter.payload.clone(),
        });
        let expected: Vec<Message> = expected.collect();
        same(&format!("the inbox of {id}"), &actual, &expected)
    }

    /// The oldest first: in the order of the store's keys.
    fn sort(&self, workflows: &mut [Workflow]) {
        workflows.sort_by_key(|workflow| self.keys.outward(workflow.key));
    }

    fn lets_through(&self, filter: &Filter, workflow: &Workflow) -> bool {
        let any = |wanted: &Option<String>, has: Option<&str>| {
            wanted.is_none() || wanted.as_deref() == has
        };
        let prefix = filter.id_prefix.as_deref().unwrap_or_default();
        let has = |attribute: &(String, String)| workflow.attributes.contains(attribute);
        let older = |before| self.keys.outward(workflow.key) < self.keys.outward(before);
        (filter.states.is_empty() || filter.states.contains(&workflow.state))
            && any(&filter.name, Some(&workflow.name))
            && any(&filter.queue, workflow.queue.as_deref())
            && workflow.id.as_str().starts_with(prefix)
            && filter.attribute.as_ref().is_none_or(has)
            && filter.before.is_none_or(older)
    }
}
