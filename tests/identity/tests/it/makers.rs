//! An application, and everybody who makes or chooses ids in it.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Body, routing::post};
use http::Request;
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use sqlx::Row;
use stepwell::{
    App, Call, ErrorKind, Missed, Payload, Position, ScheduleSpec, StartOutcome, State, Timestamp,
    Workflow, WorkflowId,
    axum::{Principal, start},
    events::{Connected, Delivery, Intake, Repeats, Source, Sources, Taken},
    redrive::RedriveFrom,
    store::NewWorkflow,
};
use tower::ServiceExt;

use crate::{
    books::{Books, fails, family, other_work, ticks, work},
    known::{APPLICATION, Known, Said, Work},
    place::Place,
};

/// What is chosen where something may be chosen: alike, and like what others make.
const NAMES: [&str; 14] = [
    "a",
    "b",
    "a-0",
    "a~2",
    "a~child-0-1",
    "a-0.0",
    "nightly",
    "nightly@2026-01-01T00:00:00Z",
    "nightly~tick-2026-01-01T00:00:00Z",
    "stripe",
    "stripe-a",
    "stripe~event-a",
    "http:POST /work:a",
    "ann:a",
];
const PEOPLE: [Option<&str>; 4] = [None, Some("ann"), Some("a"), Some("ann:a")];

/// An application with a store of its own.
pub(crate) struct Shop {
    pub(crate) app: App<Books>,
    store: &'static str,
    known: Known,
    intake: Intake<work>,
    routes: Router,
}

/// Gives its intake away.
struct ByHand(Arc<Mutex<Option<Intake<work>>>>);

impl Source<work> for ByHand {
    fn name(&self) -> &str {
        "stripe"
    }

    fn connect(self, intake: Intake<work>) -> Result<Connected, stepwell::Error> {
        *self.0.lock().unwrap() = Some(intake);
        Ok(Connected::Consumer(Box::pin(std::future::ready(()))))
    }
}

/// `bad` is poison, `7` starts work, and `7 as x` chooses its id.
fn mapped(delivery: &Delivery) -> Result<Call<work>, String> {
    let text = String::from_utf8_lossy(&delivery.body).into_owned();
    let (n, id) = match text.split_once(" as ") {
        Some((n, id)) => (n.to_owned(), Some(id.to_owned())),
        None => (text, None),
    };
    let call = work(n.parse().map_err(|_| "no number".to_owned())?);
    Ok(match id {
        Some(id) => call.id(id),
        None => call,
    })
}

fn what<W: Workflow>(n: u32) -> String {
    format!("{}({n})", W::NAME)
}

impl Shop {
    pub(crate) async fn open(place: &Place, store: &'static str, said: &str) -> Self {
        let db = place.pool.clone();
        let builder = App::builder("identity").state(Books { db, store });
        let app = builder.database(place.store()).launch().await.unwrap();
        for name in ["nightly", "a"] {
            // Far away: only backfills start them.
            let spec = ScheduleSpec::new(name, "0 0 1 1 *").missed(Missed::Skip);
            app.define_schedule(spec, ticks).await.unwrap();
        }
        let given = Arc::default();
        drop(
            Sources::new(&app)
                .add(ByHand(Arc::clone(&given)), mapped)
                .unwrap(),
        );
        let intake = given.lock().unwrap().take().unwrap();
        let routes = Router::new()
            .route("/work", post(start(work)))
            .with_state(app.clone());
        let known = Known {
            said: said.to_owned(),
            ..Known::default()
        };
        Self {
            app,
            store,
            known,
            intake,
            routes,
        }
    }

    /// Asks for a piece of work, or deletes one.
    pub(crate) async fn ask(&mut self, random: &mut StdRng) {
        let name = *NAMES.choose(random).unwrap();
        let n = random.random_range(0..2);
        match random.random_range(0..10) {
            0 => self.start(work(n).id(name), what::<work>(n)).await,
            1 => {
                self.start(other_work(n).id(name), what::<other_work>(n))
                    .await
            }
            2 => self.start(family(n).id(name), what::<family>(n)).await,
            3 => self.start(fails(n).id(name), what::<fails>(n)).await,
            4 => self.by_name(name, n).await,
            5 => self.event(name, n, random).await,
            6 => self.request(name, n, random).await,
            7 => self.tick(random).await,
            8 => self.again(name, random).await,
            _ => self.delete(random).await,
        }
    }

    async fn start<W: Workflow<State = Books>>(&mut self, call: Call<W>, what: String) {
        let id = call.given_id().unwrap().to_owned();
        let by = APPLICATION.to_owned();
        let said = match self.app.start_new(call).await {
            Ok((_, StartOutcome::New)) => Said::New,
            Ok((_, StartOutcome::Existing(_))) => Said::Existing,
            Err(error) => match self.refused(&id, &error) {
                Some(said) => said,
                None => return,
            },
        };
        self.known.heard(&id, Work { by, what }, said);
    }

    /// An id that holds a `~` is refused, and nothing else is.
    fn refused(&self, id: &str, error: &stepwell::Error) -> Option<Said> {
        let run = &self.known.said;
        assert_eq!(
            error.kind() == ErrorKind::Invalid,
            id.contains('~'),
            "{run}: {error}"
        );
        match error.kind() {
            ErrorKind::Invalid => None,
            ErrorKind::Conflict => Some(Said::Conflict),
            _ => panic!("{run}: {error}"),
        }
    }

    async fn by_name(&mut self, id: &str, n: u32) {
        let input = Payload::of(&(n,), 1_000).unwrap();
        let new = NewWorkflow::new(WorkflowId::new(id).unwrap(), work::NAME, input);
        let said = match self.app.client().start(new).await {
            Ok(StartOutcome::New) => Said::New,
            Ok(StartOutcome::Existing(_)) => Said::Existing,
            Err(error) => match self.refused(id, &error) {
                Some(said) => said,
                None => return,
            },
        };
        let by = APPLICATION.to_owned();
        let what = what::<work>(n);
        self.known.heard(id, Work { by, what }, said);
    }

    async fn event(&mut self, name: &str, n: u32, random: &mut StdRng) {
        let chosen = *NAMES.choose(random).unwrap();
        let (body, by) = match random.random_range(0..6) {
            0 => ("bad".to_owned(), None),
            1 => (format!("{n} as {chosen}"), Some(APPLICATION.to_owned())),
            _ => (n.to_string(), Some(format!("event {name}"))),
        };
        let repeats = *[Repeats::Alike, Repeats::InOtherWords]
            .choose(random)
            .unwrap();
        let event = Delivery {
            repeats,
            ..Delivery::new("stripe", name, body.clone())
        };
        let (what, run) = (what::<work>(n), self.known.said.clone());
        match (self.intake.accept(&event).await.unwrap(), by) {
            (Taken::Started(handle), Some(by)) => {
                self.known.heard(handle.id(), Work { by, what }, Said::New);
            }
            (Taken::Duplicate(handle), Some(by)) => {
                let there = &self.known.alive[handle.id()].work;
                // The sender's id alone may say that it came again.
                let what = match repeats {
                    Repeats::InOtherWords if by.starts_with("event") => there.what.clone(),
                    _ => what,
                };
                self.known
                    .heard(handle.id(), Work { by, what }, Said::Existing);
            }
            (Taken::Poison { id }, by) => {
                if let Some(by) = by {
                    let (id, there) = match body.contains(" as ") {
                        true => (chosen.to_owned(), self.known.lives(chosen)),
                        false => (format!("stripe~event-{}", name.replace('~', "%7E")), true),
                    };
                    // Nothing else but other work under its id, or an id that nobody may choose.
                    match there {
                        true => self.known.heard(&id, Work { by, what }, Said::Conflict),
                        false => assert!(id.contains('~'), "{run}: {event:?} is poison"),
                    }
                }
                self.kept(id, &event).await;
            }
            (taken, None) => panic!("{run}: {event:?} was {taken:?}"),
        }
    }

    /// Poison is a workflow of its own, one for each event and content.
    async fn kept(&mut self, id: String, event: &Delivery) {
        // It tries the event once more, and must have done so before others change what it finds.
        self.app.client().wait(&id).await.unwrap();
        let work = Work {
            by: format!("poison {}", event.id),
            what: String::from_utf8_lossy(&event.body).into_owned(),
        };
        match self.known.lives(&id) {
            true => self.known.heard(&id, work, Said::Existing),
            false => self.known.heard(&id, work, Said::New),
        }
    }

    async fn request(&mut self, key: &str, n: u32, random: &mut StdRng) {
        // What a header cannot hold is no key.
        let key = key.replace(' ', "+");
        let who = *PEOPLE.choose(random).unwrap();
        let header = *["idempotency-key", "dbos-idempotency-key"]
            .choose(random)
            .unwrap();
        let mut request = Request::post("/work")
            .header(header, &key)
            .header("content-type", "application/json")
            .body(Body::from(n.to_string()))
            .unwrap();
        if let Some(who) = who {
            request.extensions_mut().insert(Principal(who.to_owned()));
        }
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let (status, replayed) = (
            response.status(),
            response.headers().get("idempotency-replayed"),
        );
        let said = match (status.as_u16(), replayed.is_some()) {
            (202, false) => Said::New,
            (202, true) => Said::Existing,
            (422, _) => Said::Conflict,
            _ => panic!("{}: {response:?}", self.known.said),
        };
        let body = axum::body::to_bytes(response.into_body(), 10_000)
            .await
            .unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let id = body["workflow_id"].as_str().unwrap().to_owned();
        let by = format!("request of {who:?} with {key}");
        let what = what::<work>(n);
        self.known.heard(&id, Work { by, what }, said);
    }

    async fn tick(&mut self, random: &mut StdRng) {
        let schedule = *["nightly", "a"].choose(random).unwrap();
        let year = random.random_range(2024..2028);
        let instant = |year| {
            format!("{year}-01-01T00:00:00Z")
                .parse::<Timestamp>()
                .unwrap()
        };
        let client = self.app.client();
        let backfilled = client.backfill_schedule(schedule, instant(year), instant(year + 1));
        for id in backfilled.await.unwrap() {
            let work = Work {
                by: format!("tick of {schedule} in {year}"),
                what: String::new(),
            };
            let said = match self.known.lives(id.as_str()) {
                true => Said::Existing,
                false => Said::New,
            };
            self.known.heard(id.as_str(), work, said);
        }
    }

    /// Tries a dead letter again, or forks something.
    async fn again(&mut self, new_id: &str, random: &mut StdRng) {
        // Poison would start what nobody here knows of.
        let ids = self
            .known
            .alive
            .keys()
            .filter(|id| !id.contains("~poison-"));
        let mut ids: Vec<String> = ids.cloned().collect();
        ids.sort();
        let Some(id) = ids.choose(random).cloned() else {
            return;
        };
        self.rest(&id).await;
        let client = self.app.client().clone();
        let (life, what) = (
            self.known.life_of(&id),
            self.known.alive[&id].work.what.clone(),
        );
        if what.starts_with("fails(") && random.random() {
            let again = client.redrive(&id, RedriveFrom::Start).await.unwrap();
            let by = format!("try of {life}");
            let said = match self.known.lives(&again) {
                true => Said::Existing,
                false => Said::New,
            };
            self.known.heard(&again, Work { by, what }, said);
            return;
        }
        let by = format!("fork of {life}");
        let said = match client.fork(&id, new_id, Position::top(0)).await {
            Ok(()) if self.known.lives(new_id) => Said::Existing,
            Ok(()) => Said::New,
            Err(error) => match self.refused(new_id, &error) {
                Some(said) => said,
                None => return,
            },
        };
        self.known.heard(new_id, Work { by, what }, said);
    }

    async fn delete(&mut self, random: &mut StdRng) {
        let mut ids: Vec<String> = self.known.alive.keys().cloned().collect();
        ids.sort();
        let Some(id) = ids.choose(random) else {
            return;
        };
        self.rest(id).await;
        self.app.client().delete(id).await.unwrap();
        self.known.alive.remove(id);
    }

    /// Waits until a workflow has ended, looks at its result, and gets to know its children.
    async fn rest(&mut self, id: &str) {
        let client = self.app.client().clone();
        let ended = client.wait(id).await.unwrap();
        let (run, life) = (self.known.said.clone(), self.known.alive[id].clone());
        if life.work.by.starts_with("poison") {
            assert_eq!(ended.state, State::Failed, "{run}: `{id}`");
            return;
        }
        let result = ended.result.unwrap();
        let number = life.number;
        match life.work.what.starts_with("fails(") {
            true => {
                let text = result.payload().as_str().to_owned();
                assert!(
                    text.contains(&format!("life {number}")),
                    "{run}: `{id}` {life:?}: {text}"
                );
            }
            false => {
                let said: Option<i64> = result.payload().read().ok();
                assert_eq!(said, Some(number), "{run}: `{id}` {life:?} {result:?}");
            }
        }
        let is_new = self.known.parents.insert(self.known.life_of(id));
        if is_new && life.work.what.starts_with("family(") {
            let children = client.children(id).await.unwrap();
            assert_eq!(children.len(), 1, "{run}: `{id}`");
            let (child, by) = (
                children[0].id.to_string(),
                format!("child of {id}#{number}"),
            );
            let what = life.work.what.replace("family", "work");
            self.known.heard(&child, Work { by, what }, Said::New);
        }
    }

    /// Waits for all that was asked for.
    pub(crate) async fn settle(&mut self) {
        let ids: Vec<String> = self.known.alive.keys().cloned().collect();
        for id in ids {
            self.rest(&id).await;
        }
    }

    /// Every life of every id is in the books, once.
    pub(crate) async fn check_books(&self, place: &Place) {
        for (id, lives) in self.known.entries() {
            if id.contains("~poison-") {
                continue;
            }
            let what = Books::name_of(self.store, id);
            let count = sqlx::query("select count(*) from books where what = $1").bind(what);
            let entries: i64 = count.fetch_one(&place.pool).await.unwrap().get(0);
            assert_eq!(entries, lives, "{}: `{id}`", self.known.said);
        }
    }
}
