//! Transcripts on a filled database: the same on both stores.

use crate::{place::Place, shop::fill, transcript::Transcript};

/// Writes the transcript of lines, on each store, and compares it with what is kept.
async fn check(name: &str, lines: &[&str]) {
    for place in Place::each() {
        fill(&place.url).await;
        let mut transcript = Transcript::new(&place);
        for line in lines {
            transcript.run(line);
        }
        transcript.check(name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workflows_are_found() {
    let lines = [
        "stepwell workflow list",
        "stepwell workflow list --state succeeded,failed -o ids",
        "stepwell workflow list --name checkout --state enqueued",
        "stepwell workflow list --queue mails --limit 2 -o ids",
        "stepwell workflow list --attribute customer=ada --id-prefix order-1 -o json",
        "stepwell workflow list --since 1h --until now --state cancelled -o jsonl",
        "stepwell workflow list --since 2020-01-01 --until 2020-01-02",
        "stepwell workflow list --state 'jumping'",
        "stepwell workflow list --attribute customer",
        "stepwell workflow list --since soon",
        "stepwell workflow list --limit 0",
    ];
    check("workflow-list", &lines).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_shown() {
    let lines = [
        "stepwell workflow get order-1",
        "stepwell workflow get order-2 -o json",
        "stepwell workflow list --queue mails -o ids | stepwell workflow get - -o jsonl",
        "stepwell workflow get order-1 nobody -o ids",
        "stepwell workflow get nobody",
        "stepwell workflow steps order-2",
        "stepwell workflow steps order-1 -o json",
        "stepwell workflow steps nobody",
    ];
    check("workflow-get", &lines).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_started_by_its_name() {
    let start =
        "stepwell workflow start checkout '[\"cup\"]' --id order-7 --attribute customer=ada";
    let lines = [
        start,
        // The same start again starts nothing.
        start,
        "stepwell workflow start checkout '[\"pot\"]' --id order-7",
        "stepwell workflow start refund --id order-7",
        "echo '[\"pan\"]' | stepwell workflow start checkout - --id order-8 --queue orders --key ada \
         --priority -2 -o json",
        "stepwell workflow start checkout '[\"cup\"]' --id order-9 --at 2099-01-01 -o ids",
        "stepwell workflow start checkout '[\"cup\"]' --id order-10 --delay 876000h",
        "stepwell workflow list --id-prefix order-1 --state enqueued,delayed",
        "stepwell workflow get order-7",
        "stepwell workflow get order-9 -o json | grep kind",
        "stepwell workflow start checkout '\"cup\"'",
        "seq -s , 100 | tr -d '\\n' | sed 's/.*/\"&\"/' | stepwell workflow start checkout -",
        "stepwell workflow start checkout cup",
        "stepwell workflow start checkout --id 'order~7'",
        "stepwell workflow start checkout --id order-11 --delay 9000000h",
        "stepwell workflow start checkout --delay soon",
        "stepwell workflow start checkout --at 2h",
        "stepwell workflow start checkout --key ada",
        "stepwell workflow start checkout --delay 1s --at 2099-01-01",
        "stepwell workflow start",
    ];
    check("workflow-start", &lines).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_an_inbox_are_seen_and_mended() {
    let lines = [
        "stepwell workflow messages list mail-1",
        "stepwell workflow send mail-1 payment '\"paid\"' --key k-1",
        "stepwell workflow send mail-1 payment '\"twice\"' --key k-1",
        "stepwell workflow send mail-1 refund '{\"amount\": 7}' --key k-2",
        "stepwell workflow messages list mail-1",
        "stepwell workflow messages list mail-1 -o ids | tail -1 > last",
        "stepwell workflow messages replace mail-1 $(cat last) '{\"amount\": 8}'",
        "stepwell workflow messages replace mail-1 $(cat last) eight",
        "stepwell workflow messages list mail-1 -o json",
        "stepwell workflow messages drop mail-1 $(cat last)",
        "stepwell workflow messages drop mail-1 $(cat last)",
        "stepwell workflow messages drop mail-2 4711",
        "stepwell workflow messages list mail-1",
        "stepwell workflow messages list nobody",
    ];
    check("workflow-messages", &lines).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workflows_are_cancelled_and_resumed() {
    let lines = [
        "stepwell workflow cancel",
        "stepwell workflow cancel --yes",
        "stepwell workflow cancel order-3 --state enqueued",
        "stepwell workflow cancel --queue mails --dry-run",
        "stepwell workflow cancel --queue mails",
        "stepwell workflow cancel --queue mails --yes",
        "stepwell workflow cancel --queue mails --yes -o json",
        "stepwell workflow cancel order-3 --dry-run",
        "stepwell workflow cancel order-3",
        "stepwell workflow cancel order-1",
        "stepwell workflow cancel order-3 nobody order-1 -o json",
        "stepwell workflow cancel nobody",
        "stepwell workflow cancel nobody --dry-run",
        "printf 'mail-1\\n\\n mail-2 \\n' | stepwell workflow resume - -o ids",
        "stepwell workflow resume --name mail --yes",
        "stepwell workflow resume order-1",
        "stepwell workflow list --queue mails",
    ];
    check("workflow-cancel", &lines).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_forked_and_sent_to() {
    let lines = [
        "stepwell workflow fork order-1 --from 2 --as order-1b",
        "stepwell workflow steps order-1b",
        "stepwell workflow fork order-1 --from 2 -o json",
        "stepwell workflow fork order-1 --from two",
        "stepwell workflow fork nobody --from 0",
        "stepwell workflow send order-1b payment '\"paid again\"' --key k-1",
        "echo '{\"big\": 123456789012345678901234567890}' | stepwell workflow send order-1b payment -",
        "stepwell workflow send order-1b payment paid",
        "stepwell workflow send nobody payment 1",
    ];
    check("workflow-fork", &lines).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_tried_again_and_laid_aside() {
    let one = "stepwell dead-letter redrive order-2";
    let lines = [
        "stepwell dead-letter groups",
        "stepwell dlq groups -o json",
        "stepwell dead-letter list",
        "stepwell dead-letter list --fingerprint 'Failure: no pan on stock' -o ids",
        "stepwell dead-letter get order-2",
        "stepwell dead-letter redrive",
        "stepwell dead-letter redrive --name checkout --dry-run",
        "stepwell dead-letter redrive --name checkout",
        "stepwell dead-letter redrive --name checkout --rate 5000/1s --yes",
        "stepwell dead-letter redrive --name checkout --rate none --yes",
        "stepwell dead-letter redrive --name nothing --yes",
        "stepwell dead-letter redrive --state running",
        "stepwell dead-letter redrive --name checkout --yes --as redrive-1 --failures-max 10",
        "stepwell workflow get redrive-1",
        one,
        // The same letter is tried once.
        one,
        "stepwell workflow steps order-2~2",
        "stepwell workflow get order-2~2 -o json",
        "stepwell dead-letter redrive order-1",
        "stepwell dead-letter redrive nobody",
        "stepwell dead-letter redrive order-5 --input '[\"cup\"]' -o json",
        "stepwell dead-letter redrive order-6 --input cup",
        "stepwell dead-letter redrive order-6 --input '\"cup\"'",
        "stepwell dead-letter redrive order-6 order-5 --input '[]'",
        "stepwell dead-letter acknowledge order-6",
        "stepwell dead-letter ack order-6 order-1 --note 'the customer was told'",
        "stepwell dead-letter list",
        "stepwell dead-letter get order-6 -o json",
        "stepwell dead-letter delete --name checkout --yes",
        "stepwell dead-letter delete order-6 order-3",
        "stepwell workflow get order-6",
    ];
    check("dead-letter", &lines).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_steered() {
    let lines = [
        "stepwell queue list",
        "stepwell queue pause mails --reason 'the mail server is down'",
        "stepwell queue set mails --concurrency none --executor-concurrency 4 --rate 100/1m",
        "stepwell queue set mails",
        "stepwell queue set mails --concurrency many",
        "stepwell queue get mails -o json | sed 's/\"at\": .*/\"at\": …/'",
        "stepwell queue resume mails --output ids",
        "stepwell queue pause nowhere",
    ];
    check("queue", &lines).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_steered() {
    let backfill = "stepwell schedule backfill nightly --from 2020-03-28 --to 2020-03-31";
    let (dry, yes) = (
        format!("{backfill} --dry-run"),
        format!("{backfill} --yes -o ids"),
    );
    let lines = [
        "stepwell schedule list",
        "stepwell schedule pause nightly --by grace --reason holidays",
        "stepwell schedule resume nightly -o json",
        "stepwell schedule trigger nightly",
        backfill,
        &dry,
        &yes,
        // Again it starts nothing.
        &yes,
        "stepwell workflow list --name report --id-prefix nightly~tick-2020-03 -o ids",
        "stepwell schedule backfill nightly --from 2020-03-28 --to 2020-03-28",
        "stepwell schedule backfill nightly --from 1900-01-01 --to 2020-03-28 --yes",
        "stepwell schedule next nightly --count 2",
        "stepwell schedule next --spec '@every 1h' --count 3 | wc -l",
        "stepwell schedule next nightly --from 2020-03-28 --count 3",
        "stepwell schedule next --spec '0 3 * * *' --from 2020-03-28T03:00:00Z --count 2 -o json",
        "stepwell schedule next nightly --from soon",
        "stepwell schedule next --spec 'at noon'",
        "stepwell schedule next",
        "stepwell schedule get weekly",
    ];
    check("schedule", &lines).await;
}
