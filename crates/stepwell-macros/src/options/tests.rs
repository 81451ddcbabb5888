//! What options are taken, and what is said of those that are not.

use super::*;

#[track_caller]
fn refused(kind: Kind, attribute: TokenStream, expected: &str) {
    let (_, error) = Options::parse(kind, attribute);
    let text = error.expect("the options are wrong").to_string();
    assert!(text.contains(expected), "{text}");
}

#[test]
fn right_options_are_kept() {
    let (options, error) = Options::parse(
        Kind::Workflow,
        quote!(
            name = "pay",
            schedule = "0 9 * * MON",
            timezone = "Europe/Berlin",
            allow_nondeterminism
        ),
    );
    assert!(error.is_none());
    assert!(options.allows_nondeterminism());
    let function = Ident::new("other", proc_macro2::Span::call_site());
    assert_eq!(options.name(&function).value(), "pay");
    let schedule = options.schedule_value().to_string();
    assert!(schedule.contains("cron (\"0 9 * * MON\") . timezone (\"Europe/Berlin\")"));
}

#[test]
fn a_raw_name_loses_its_prefix() {
    let name = Options::default().name(&Ident::new_raw("type", proc_macro2::Span::call_site()));
    assert_eq!(name.value(), "type");
}

#[test]
fn an_option_that_does_not_apply_names_those_that_do() {
    let takes = "`schedule` is not an option of `#[step]`, which takes `name = \"…\"`";
    refused(Kind::Step, quote!(schedule = "* * * * *"), takes);
    refused(Kind::Step, quote!(retries = 3), "where it is run");
    refused(Kind::Workflow, quote!(queue = "q"), "where it is started");
    refused(
        Kind::Transaction,
        quote!(a::b),
        "`a::b` is not an option of `#[transaction]`",
    );
    refused(
        Kind::Workflow,
        quote!("pay"),
        "`#[workflow]` takes the options",
    );
}

#[test]
fn a_transaction_is_isolated_as_it_says() {
    let of = |attribute| {
        let (options, error) = Options::parse(Kind::Transaction, attribute);
        assert!(error.is_none());
        options.tx_options().to_string().replace(' ', "")
    };
    let plain = of(quote!());
    assert!(plain.contains("isolation:::core::option::Option::None,read_only:false"));
    for (level, variant) in [
        ("read_committed", "ReadCommitted"),
        ("repeatable_read", "RepeatableRead"),
        ("serializable", "Serializable"),
    ] {
        let options = of(quote!(isolation = #level, read_only));
        assert!(options.contains(&format!("::stepwell::Isolation::{variant})")));
        assert!(options.contains("read_only:true"));
    }
}

#[test]
fn values_are_checked() {
    refused(Kind::Step, quote!(name), "takes a string literal");
    refused(Kind::Step, quote!(name = 1), "takes a string literal");
    refused(Kind::Step, quote!(name = ""), "at least one byte");
    refused(
        Kind::Step,
        quote!(name = "a\nb"),
        "has no control characters",
    );
    let long = "x".repeat(256);
    refused(Kind::Step, quote!(name = #long), "and this one has 256");
    refused(Kind::Step, quote!(name = "a", name = "b"), "is given twice");
    refused(Kind::Workflow, quote!(timezone = "UTC"), "there is none");
    refused(Kind::Workflow, quote!(missed = "all"), "there is none");
    refused(
        Kind::Workflow,
        quote!(schedule = "* * * * *", missed = "sometimes"),
        "`sometimes` says nothing about missed ticks",
    );
    refused(
        Kind::Workflow,
        quote!(schedule = "* * * * *", timezone = "my zone"),
        "`my zone` is not the name of a time zone",
    );
    refused(
        Kind::Workflow,
        quote!(allow_nondeterminism = true),
        "takes no value",
    );
    refused(
        Kind::Transaction,
        quote!(isolation = "strict"),
        "`strict` is no isolation level: write \"read_committed\"",
    );
    refused(
        Kind::Transaction,
        quote!(read_only = "yes"),
        "`read_only` takes no value",
    );
    refused(
        Kind::Step,
        quote!(read_only),
        "this is an option of `#[transaction]`",
    );
}
