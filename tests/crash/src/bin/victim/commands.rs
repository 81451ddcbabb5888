//! What a victim can be told, a line each:
//!
//! - `start KIND ID [N [M]]`: says `started ID New`, `started ID Existing(…)` or `refused ID …`
//! - `follow KIND ID`: does what the customer does, and says `done ID STATE …` when it rests
//! - `resume ID`: says `resumed ID` or `refused ID …`
//! - `break PREFIX N`: starts N workflows that fail, and says `broken PREFIX`
//! - `redrive ID STARTS`: tries what failed so again, so many a second, and says `redriving ID`
//! - `cancel ID`: says `cancelled ID`
//! - `hits`: says `hits POINT=N …`

use std::{error::Error, time::Duration};

use stepwell::{
    App, Payload, StartOutcome, State, Workflow,
    redrive::{Redrive, RedriveFrom},
};
use tokio::{sync::mpsc::UnboundedReceiver, task::JoinSet};
use widget_store::{
    checkout::{PAYMENT, PAYMENT_ID, PaymentStatus, checkout},
    shop::Shop,
};

use crate::{
    say, strike,
    workflows::{GO, SHELF, brittle, bulk, chain, everything, gated, poisoned},
};

type Answer = Result<String, Box<dyn Error + Send + Sync>>;

/// Obeys until nobody tells it anything any more. Commands run beside each other.
pub(crate) async fn obey(app: &App<Shop>, mut lines: UnboundedReceiver<String>) {
    let mut running = JoinSet::new();
    while let Some(line) = lines.recv().await {
        let app = app.clone();
        running.spawn(async move {
            let words: Vec<&str> = line.split_whitespace().collect();
            match obey_one(&app, &words).await {
                Ok(answer) => say(&answer),
                Err(error) => say(&format!("refused {} {error}", words.last().unwrap_or(&""))),
            }
        });
    }
}

async fn obey_one(app: &App<Shop>, words: &[&str]) -> Answer {
    match *words {
        ["start", kind, id, ref numbers @ ..] => {
            // The id comes last in what is refused.
            let started = start(app, kind, id, numbers).await;
            Ok(started.unwrap_or_else(|error| format!("refused {id} {error}")))
        }
        ["follow", kind, id] => follow(app, kind, id).await,
        ["resume", id] => {
            app.client().resume(id).await?;
            Ok(format!("resumed {id}"))
        }
        ["break", prefix, number] => {
            for n in 0..number.parse::<u32>()? {
                let call = brittle().id(format!("{prefix}-{n}")).queue(&SHELF);
                app.start(call.anywhere()).await?;
            }
            Ok(format!("broken {prefix}"))
        }
        ["redrive", id, starts] => {
            let mut job = Redrive::of(brittle::NAME, RedriveFrom::FailedStep);
            job.rate.starts = starts.parse()?;
            app.client().redrive_all(id, &job).await?;
            Ok(format!("redriving {id}"))
        }
        ["cancel", id] => {
            app.client().cancel(id).await?;
            Ok(format!("cancelled {id}"))
        }
        ["hits"] => Ok(format!("hits {}", strike::hits())),
        _ => Err(format!("there is no command {words:?}").into()),
    }
}

async fn start(app: &App<Shop>, kind: &str, id: &str, numbers: &[&str]) -> Answer {
    let number = |index: usize| numbers.get(index).map_or(Ok(0), |number| number.parse());
    let outcome: StartOutcome = match kind {
        "checkout" => app.start_new(checkout().id(id)).await?.1,
        "everything" => app.start_new(everything().id(id)).await?.1,
        "chain" => app.start_new(chain(number(0)?, number(1)?).id(id)).await?.1,
        "gated" => app.start_new(gated().id(id)).await?.1,
        "poisoned" => app.start_new(poisoned().id(id)).await?.1,
        "bulk" => {
            let text = "x".repeat(usize::try_from(number(0)?)?);
            app.start_new(bulk(text).id(id)).await?.1
        }
        _ => return Err(format!("there is no workflow `{kind}`").into()),
    };
    Ok(format!("started {id} {outcome:?}"))
}

/// Does what somebody outside does for a workflow, and waits until it and its children rest. It may
/// be done again after every crash: what is sent has a key.
async fn follow(app: &App<Shop>, kind: &str, id: &str) -> Answer {
    match kind {
        "checkout" => pay(app, id).await?,
        "everything" => {
            let go = Payload::of(&10_000_u64, 100)?;
            app.client()
                .send(id, GO.name(), go, Some("go".to_owned()))
                .await?;
        }
        _ => {}
    }
    let ended = app.client().wait(id).await?;
    let mut state = ended.state;
    for child in app.client().children(id).await? {
        let child = app.client().wait(child.id.as_str()).await?;
        if child.state != State::Succeeded {
            state = child.state;
        }
    }
    let result = ended
        .result
        .map(|result| result.payload().as_str().to_owned())
        .or(ended.reason)
        .unwrap_or_default();
    Ok(format!("done {id} {state} {result}"))
}

async fn pay(app: &App<Shop>, id: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    let to_pay = app
        .get_event(id, PAYMENT_ID)
        .timeout(Duration::from_secs(120))
        .await?;
    if let Some(Some(payment_id)) = to_pay {
        let paid = Payload::of(&PaymentStatus::Paid, 100)?;
        app.client()
            .send(
                &payment_id,
                PAYMENT.name(),
                paid,
                Some("payment".to_owned()),
            )
            .await?;
    }
    Ok(())
}
