//! What is started, by a client outside the fleet, and what must come of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use crash_tests::load::{LETTERS, Letter, NARROW, WIDE};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde::Serialize;
use stepwell::{
    Client, ErrorKind, Payload, StartOutcome, WorkflowId,
    store::{Launch, NewWorkflow, QueueLimits, QueueUse},
};
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

/// How many letters a sender writes, and a client to each receiver.
const LETTERS_EACH: u64 = 4;

/// How many senders write to one receiver, beside the client.
const SENDERS: u64 = 2;

/// The longest durable sleep of an order, in milliseconds.
const SLEEP_MS_MAX: u64 = 1_500;

/// How many workflows one group has.
pub(crate) const GROUP: usize = 11;

/// How many starts are on their way at once.
const AT_ONCE: usize = 16;

/// How long a request is repeated.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often a workflow is started again, in percent.
const AGAIN_PERCENT: u32 = 20;

/// What a workflow is and comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Order {
        n: u64,
        sleep_ms: u64,
    },
    /// Through a queue.
    Limited {
        n: u64,
        queue: &'static str,
    },
    Sender {
        to: String,
    },
    Receiver {
        from: Vec<String>,
    },
}

/// All that one test starts.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// By id.
    pub(crate) kinds: BTreeMap<String, Kind>,
    /// The ids in the order of their starts, in portions.
    portions: Vec<Vec<String>>,
    /// What was acknowledged so far.
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
}

/// What the client was told.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Told {
    /// How many starts made a workflow, as far as the answers came through.
    pub(crate) made: usize,
    /// How many first starts were told that it was there: the answer of an earlier try was lost.
    pub(crate) lost_answers: usize,
    /// How many were started again.
    pub(crate) again: usize,
    /// How often a request was repeated because it failed.
    pub(crate) repeated: usize,
    /// How many letters were sent.
    pub(crate) letters: usize,
}

impl Load {
    /// About this many workflows, in groups of [`GROUP`]; the senders after their receiver.
    pub(crate) fn of(workflows: usize, portions: usize, random: &mut StdRng) -> Self {
        let groups = (workflows / GROUP).max(1);
        let mut load = Self {
            portions: vec![Vec::new(); portions],
            ..Self::default()
        };
        for group in 0..groups {
            let portion = group * portions / groups;
            let mut ids = load.group(group, random);
            let receiver = ids.remove(0);
            ids.shuffle(random);
            ids.insert(0, receiver);
            load.portions[portion].extend(ids);
        }
        load
    }

    fn group(&mut self, group: usize, random: &mut StdRng) -> Vec<String> {
        let receiver = format!("receiver-{group}");
        let senders: Vec<String> = (0..SENDERS)
            .map(|n| format!("sender-{group}-{n}"))
            .collect();
        let from = senders.iter().cloned().chain([client(&receiver)]).collect();
        let mut kinds = vec![(receiver.clone(), Kind::Receiver { from })];
        for sender in senders {
            let to = receiver.clone();
            kinds.push((sender, Kind::Sender { to }));
        }
        for each in 0..4 {
            let kind = Kind::Order {
                n: random.random_range(0..1_000_000),
                sleep_ms: random.random_range(1..SLEEP_MS_MAX),
            };
            kinds.push((format!("order-{group}-{each}"), kind));
        }
        for (each, queue) in ["narrow", "narrow", "wide", "wide"].into_iter().enumerate() {
            let n = random.random_range(0..1_000_000);
            kinds.push((
                format!("{queue}-{group}-{each}"),
                Kind::Limited { n, queue },
            ));
        }
        let ids = kinds.iter().map(|(id, _)| id.clone()).collect();
        self.kinds.extend(kinds);
        ids
    }

    /// Every workflow that there must be in the end, with its name: the children, too.
    pub(crate) fn workflows(&self) -> usize {
        let orders = |kind: &&Kind| matches!(kind, Kind::Order { .. });
        self.kinds.len() + self.kinds.values().filter(orders).count()
    }

    /// What was acknowledged so far.
    pub(crate) fn acknowledged(&self) -> BTreeSet<String> {
        self.acknowledged.lock().unwrap().clone()
    }

    /// Starts a portion, each until it is acknowledged, and some of it again.
    pub(crate) async fn start(&self, portion: usize, client: &Client, seed: u64) -> Told {
        let (mut told, mut random) = (Told::default(), StdRng::seed_from_u64(seed));
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut starting = JoinSet::new();
        for id in &self.portions[portion] {
            let kind = self.kinds[id].clone();
            let again = random.random_range(0..100) < AGAIN_PERCENT;
            let is_receiver = matches!(kind, Kind::Receiver { .. });
            if is_receiver {
                // Now: what is sent to a workflow that is not there is lost.
                told.add(begin(client, id, &kind, again).await);
                self.acknowledged.lock().unwrap().insert(id.clone());
            }
            let (client, id, places) = (client.clone(), id.clone(), Arc::clone(&places));
            let acknowledged = Arc::clone(&self.acknowledged);
            starting.spawn(async move {
                let _place = places.acquire().await.unwrap();
                if is_receiver {
                    return write(&client, &id, again).await;
                }
                let told = begin(&client, &id, &kind, again).await;
                acknowledged.lock().unwrap().insert(id);
                told
            });
        }
        while let Some(one) = starting.join_next().await {
            told.add(one.unwrap());
        }
        told
    }
}

/// Who the client is to a receiver.
pub(crate) fn client(receiver: &str) -> String {
    format!("client of {receiver}")
}

/// How many letters come from each sender.
pub(crate) fn letters_each() -> u64 {
    LETTERS_EACH
}

impl Told {
    /// In words.
    pub(crate) fn report(&self) -> String {
        format!(
            "{} started ({} answers were lost), {} started again, {} requests repeated, {} \
             letters sent",
            self.made + self.lost_answers,
            self.lost_answers,
            self.again,
            self.repeated,
            self.letters
        )
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.made += other.made;
        self.lost_answers += other.lost_answers;
        self.again += other.again;
        self.repeated += other.repeated;
        self.letters += other.letters;
    }
}

/// Starts one workflow, once or twice.
async fn begin(client: &Client, id: &str, kind: &Kind, again: bool) -> Told {
    let mut told = Told::default();
    match until_heard(&mut told, || client.start(new(id, kind))).await {
        StartOutcome::New => told.made += 1,
        StartOutcome::Existing(_) => told.lost_answers += 1,
    }
    if again {
        let outcome = until_heard(&mut told, || client.start(new(id, kind))).await;
        assert_ne!(outcome, StartOutcome::New, "`{id}` was made twice");
        told.again += 1;
    }
    told
}

/// Sends a receiver the letters of the client.
async fn write(client: &Client, receiver: &str, again: bool) -> Told {
    let mut told = Told::default();
    for number in 0..LETTERS_EACH {
        post(client, receiver, number, again, &mut told).await;
    }
    told
}

/// Sends a letter with a key, once or twice: it arrives once.
async fn post(client: &Client, to: &str, number: u64, again: bool, told: &mut Told) {
    let letter = Letter {
        from: self::client(to),
        number,
    };
    let letter = Payload::of(&letter, 1_000).unwrap();
    for _ in 0..=u32::from(again) {
        let key = Some(format!("letter {number}"));
        until_heard(told, || {
            client.send(to, LETTERS.name(), letter.clone(), key.clone())
        })
        .await;
    }
    told.letters += 1;
}

/// Repeats a request until it is answered. Only trouble on the way is a reason to repeat it.
async fn until_heard<T, F>(told: &mut Told, mut request: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, stepwell::Error>>,
{
    let began = Instant::now();
    loop {
        match request().await {
            Ok(answer) => return answer,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "refused: {error}"),
        }
        told.repeated += 1;
        assert!(began.elapsed() < PATIENCE, "no answer for {PATIENCE:?}");
    }
}

fn new(id: &str, kind: &Kind) -> NewWorkflow {
    let anywhere = Launch::Anywhere;
    let (name, input, launch) = match kind {
        Kind::Order { n, sleep_ms } => ("order", input(&(n, sleep_ms)), anywhere),
        Kind::Limited { n, queue } => ("limited", input(&(n,)), through(queue)),
        Kind::Sender { to } => ("sender", input(&(to, LETTERS_EACH)), anywhere),
        Kind::Receiver { from } => {
            let letters = from.len() as u64 * LETTERS_EACH;
            ("receiver", input(&(letters,)), anywhere)
        }
    };
    NewWorkflow {
        launch,
        ..NewWorkflow::new(WorkflowId::new(id).unwrap(), name, input)
    }
}

fn input(arguments: &impl Serialize) -> Payload {
    Payload::of(arguments, 1_000).unwrap()
}

fn through(queue: &str) -> Launch {
    let limits = match queue {
        "narrow" => QueueLimits {
            concurrency: Some(NARROW),
            ..QueueLimits::default()
        },
        _ => QueueLimits {
            concurrency: Some(WIDE.0),
            executor_concurrency: Some(WIDE.1),
            ..QueueLimits::default()
        },
    };
    Launch::Queue(QueueUse {
        limits,
        ..QueueUse::new(queue)
    })
}
