//! What the attributes refuse, and what they say.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error};

use super::{errors, expand, refused};
use crate::{kind::Kind, state};

#[test]
fn signatures_that_cannot_be_recorded_are_refused() {
    use Kind::{Step, Transaction, Workflow};
    let ok = quote!(-> stepwell::Result<()>);
    refused(
        Step,
        quote!(fn f() #ok {}),
        "a step is an `async fn`: write `async fn f(…)`",
    );
    refused(
        Transaction,
        quote!(fn f(tx: &mut PgTx) #ok {}),
        "a transaction is an `async fn`",
    );
    refused(Step, quote!(async unsafe fn f() #ok {}), "remove `unsafe`");
    refused(
        Step,
        quote!(async extern "C" fn f() #ok {}),
        "remove `extern`",
    );
    refused(
        Workflow,
        quote!(const async fn f(ctx: &mut Ctx) #ok {}),
        "remove `const`",
    );
    refused(
        Workflow,
        quote!(async fn f<T>(ctx: &mut Ctx, t: T) #ok {}),
        "cannot be generic",
    );
    refused(
        Step,
        quote!(async fn f<'a>(t: &'a T) #ok {}),
        "has no lifetime parameters",
    );
    refused(
        Step,
        quote!(async fn f(t: impl Display) #ok {}),
        "name the type here",
    );
    refused(
        Step,
        quote!(async fn f(&self) #ok {}),
        "move it out of the `impl`",
    );
    refused(
        Step,
        quote!(
            async fn f() {}
        ),
        "add `-> stepwell::Result<()>`",
    );
    refused(
        Step,
        quote!(
            async fn f() -> Option<u32> {}
        ),
        "`-> stepwell::Result<Option<u32>>`",
    );
}

#[test]
fn a_workflow_takes_its_context_and_owned_arguments() {
    use Kind::Workflow;
    let ok = quote!(-> stepwell::Result<()>);
    let context = "the first parameter of a workflow is its context, by mutable reference";
    refused(Workflow, quote!(async fn f() #ok {}), context);
    refused(Workflow, quote!(async fn f(ctx: Ctx<S>) #ok {}), context);
    refused(Workflow, quote!(async fn f(ctx: &Ctx<S>) #ok {}), context);
    let owned = "must be owned";
    refused(
        Workflow,
        quote!(async fn f(ctx: &mut Ctx, a: &str) #ok {}),
        owned,
    );
    refused(
        Workflow,
        quote!(async fn f(ctx: &mut Ctx, a: Vec<&str>) #ok {}),
        owned,
    );
    refused(
        Workflow,
        quote!(async fn f(ctx: &mut Ctx, #[state] a: u8) #ok {}),
        "`ctx.state()`",
    );
    refused(
        Workflow,
        quote!(async fn f(ctx: &mut Ctx, #[attempt] a: u8) #ok {}),
        "no attempts",
    );
}

#[test]
fn the_parameters_of_a_step_are_checked() {
    use Kind::{Step, Transaction};
    let ok = quote!(-> stepwell::Result<()>);
    refused(
        Step,
        quote!(async fn f(a: &mut Vec<u8>) #ok {}),
        "it cannot take `&mut`",
    );
    refused(
        Step,
        quote!(async fn f(ctx: &mut Ctx<S>) #ok {}),
        "make this a `#[workflow]`",
    );
    refused(
        Step,
        quote!(async fn f(tx: &mut PgTx) #ok {}),
        "make this a `#[transaction]`",
    );
    refused(
        Step,
        quote!(async fn f(#[state] a: Gateway) #ok {}),
        "is a shared reference",
    );
    refused(
        Step,
        quote!(async fn f(#[state] a: &mut Gateway) #ok {}),
        "is a shared reference",
    );
    refused(
        Step,
        quote!(async fn f(#[attempt] a: Attempt) #ok {}),
        "`#[attempt] attempt: &Attempt`",
    );
    refused(
        Transaction,
        quote!(async fn f(a: u8) #ok {}),
        "the first parameter of a transaction",
    );
    refused(
        Transaction,
        quote!(async fn f(tx: &mut PgTx, #[attempt] a: &Attempt) #ok {}),
        "a transaction has no attempts",
    );
}

#[test]
fn a_schedule_brings_the_tick_and_nothing_else() {
    let two = quote!(
        async fn f(ctx: &mut Ctx, at: Timestamp, n: u8) -> stepwell::Result<()> {}
    );
    let found = errors(expand(Kind::Workflow, quote!(schedule = "* * * * *"), two));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("the time of the tick and nothing else"));
    let one = quote!(
        async fn f(ctx: &mut Ctx, at: Timestamp) -> stepwell::Result<()> {}
    );
    assert!(errors(expand(Kind::Workflow, quote!(schedule = "* * * * *"), one)).is_empty());
}

#[test]
fn a_state_is_a_struct_with_one_field_for_each_type() {
    #[track_caller]
    fn refused(input: TokenStream, expected: &str) {
        let input: DeriveInput = syn::parse2(input).expect("an item");
        let found = errors(state::expand(&input).unwrap_or_else(Error::into_compile_error));
        assert_eq!(found.len(), 1);
        assert!(found[0].contains(expected), "{}", found[0]);
    }
    refused(
        quote!(
            enum E {}
        ),
        "`State` is derived for a struct",
    );
    refused(
        quote!(
            struct S {
                #[provide(a)]
                b: u8,
            }
        ),
        "takes no options",
    );
    refused(
        quote!(
            struct S(#[provide] a::Pool<B>, #[provide] a::Pool<B>);
        ),
        "two fields provide `a::Pool<B>`",
    );
    let input: DeriveInput = syn::parse2(quote!(
        struct S {
            #[provide]
            a: u8,
            b: u8,
        }
    ))
    .expect("an item");
    let expanded = state::expand(&input).expect("it is right").to_string();
    assert_eq!(expanded.matches("Provide").count(), 1);
}
