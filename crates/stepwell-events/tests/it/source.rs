//! A source that a test hands deliveries to.

use std::sync::{Arc, Mutex};

use stepwell::{
    App, Call, Error, ErrorKind, Workflow,
    events::{Connected, Delivery, Intake, Source, Sources},
};

/// Gives its intake away.
pub(crate) struct ByHand<W: Workflow> {
    name: &'static str,
    intake: Arc<Mutex<Option<Intake<W>>>>,
}

impl<W: Workflow> Source<W> for ByHand<W> {
    fn name(&self) -> &str {
        self.name
    }

    fn connect(self, intake: Intake<W>) -> Result<Connected, Error> {
        *self.intake.lock().unwrap() = Some(intake);
        Ok(Connected::Consumer(Box::pin(std::future::ready(()))))
    }
}

/// The intake of a source of an application.
pub(crate) fn intake<W: Workflow>(
    app: &App<W::State>,
    name: &'static str,
    map: impl Fn(&Delivery) -> Result<Call<W>, String> + Send + Sync + 'static,
) -> Intake<W> {
    let intake = Arc::default();
    let source = ByHand {
        name,
        intake: Arc::clone(&intake),
    };
    drop(Sources::new(app).add(source, map).unwrap());
    intake.lock().unwrap().take().unwrap()
}

#[tokio::test]
async fn two_sources_of_one_name_are_refused() {
    let app = crate::intake::app("twice").await;
    let source = || ByHand::<crate::intake::handle> {
        name: "orders",
        intake: Arc::default(),
    };
    let map = |delivery: &Delivery| Ok::<_, String>(crate::intake::handle(delivery.id.clone()));
    let sources = Sources::new(&app).add(source(), map).unwrap();
    let refused = sources.add(source(), map).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Setup);
    assert!(refused.to_string().contains("`orders`"), "{refused}");
}
