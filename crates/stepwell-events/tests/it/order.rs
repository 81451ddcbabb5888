//! A batch goes into its queue in its order, and whole, whatever the queue has room for.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use stepwell::{
    App, Ctx, Queue,
    events::{Delivery, Taken},
    workflow,
};

use crate::source::intake;

static ONE_BY_ONE: Queue = Queue::new("one-by-one").concurrency(1).waiting_max(3);

type Seen = Arc<Mutex<Vec<u32>>>;

#[workflow]
async fn note(ctx: &mut Ctx<Seen>, number: u32) -> stepwell::Result<()> {
    ctx.state().lock().unwrap().push(number);
    ctx.sleep(Duration::from_millis(1)).await;
    Ok(())
}

#[tokio::test]
async fn a_narrow_queue_slows_its_source_and_keeps_the_order() {
    let seen = Seen::default();
    let builder = App::builder("order").state(Arc::clone(&seen));
    let app = builder.database("sqlite::memory:").launch().await.unwrap();
    let intake = intake(&app, "orders", |delivery: &Delivery| {
        let number = delivery.json().map_err(|error| error.to_string())?;
        Ok(note(number).queue(&ONE_BY_ONE))
    });
    let all: Vec<Delivery> = (0..40)
        .map(|number| Delivery::new("orders", number.to_string(), number.to_string()))
        .collect();
    for batch in all.chunks(10) {
        for taken in intake.accept_all(batch).await.unwrap() {
            assert!(matches!(taken, Taken::Started(_)), "{taken:?}");
        }
    }
    for delivery in &all {
        let id = format!("orders~event-{}", delivery.id);
        app.handle::<note>(id).result().await.unwrap();
    }
    assert_eq!(*seen.lock().unwrap(), (0..40).collect::<Vec<u32>>());
}
