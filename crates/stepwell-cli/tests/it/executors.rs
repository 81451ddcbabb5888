//! `stepwell executor`.

use stepwell::App;

use crate::{
    place::Place,
    transcript::{shell, text},
};

fn states(place: &Place) -> String {
    let line = "stepwell executor list -o json | grep -E 'state|application|version'";
    let output = shell(line, &place.url, place.path()).output().unwrap();
    text(&output.stdout).split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_executor_is_listed_until_it_stops() {
    for place in Place::each() {
        let app = App::builder("shop").database(&place.url).version("v7");
        let app = app.launch().await.unwrap();
        let expected = r#""application":"shop","version":"v7","state":"live""#;
        assert_eq!(states(&place), expected);
        let line = "stepwell executor get $(stepwell executor list -o ids) | grep REGISTERS";
        let output = shell(line, &place.url, place.path()).output().unwrap();
        assert!(text(&output.stdout).contains("checkout"), "{output:?}");
        app.shutdown().await;
        assert!(!states(&place).contains("live"), "{}", states(&place));
    }
}
