//! What the attributes generate: tokens in, tokens and error text out.

mod refusals;

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::ItemFn;

use crate::{kind::Kind, step, transaction, workflow};

fn expand(kind: Kind, options: TokenStream, function: TokenStream) -> TokenStream {
    let function: ItemFn = syn::parse2(function).expect("a function");
    match kind {
        Kind::Workflow => workflow::expand(options, function),
        Kind::Step => step::expand(options, function),
        Kind::Transaction => transaction::expand(options, function),
    }
}

/// The messages of all `compile_error!` in an expansion.
fn errors(tokens: TokenStream) -> Vec<String> {
    let mut errors = Vec::new();
    let mut in_error = false;
    for tree in tokens {
        match tree {
            TokenTree::Ident(ident) => in_error = ident == "compile_error",
            TokenTree::Group(group) if in_error => {
                let message: syn::LitStr = syn::parse2(group.stream()).expect("a message");
                errors.push(message.value());
                in_error = false;
            }
            TokenTree::Group(group) => errors.extend(self::errors(group.stream())),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    errors
}

#[track_caller]
fn refused(kind: Kind, function: TokenStream, expected: &str) {
    let errors = errors(expand(kind, TokenStream::new(), function));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains(expected), "{}", errors[0]);
}

#[track_caller]
fn accepted(kind: Kind, function: TokenStream) -> String {
    let expanded = expand(kind, TokenStream::new(), function);
    let found = errors(expanded.clone());
    assert!(found.is_empty(), "{found:?}");
    // What is generated must at least be items.
    syn::parse2::<syn::File>(expanded.clone()).expect("items");
    expanded.to_string()
}

#[test]
fn a_wrong_option_does_not_hide_the_function() {
    let function = quote!(
        async fn f() -> stepwell::Result<()> {}
    );
    let expanded = expand(Kind::Step, quote!(schedule = "* * * * *"), function);
    assert_eq!(errors(expanded.clone()).len(), 1);
    assert!(expanded.to_string().contains("StepCall"));
}

#[test]
fn anonymous_lifetimes_are_those_of_the_call() {
    let expanded = accepted(
        Kind::Step,
        quote!(
            async fn f(a: Option<&str>, b: Cow<'_, [&u8]>) -> stepwell::Result<()> {}
        ),
    );
    let call = expanded.split("fn f").last().expect("the call");
    assert!(call.contains("a : Option < & 'op str >"), "{call}");
    assert!(call.contains("b : Cow < 'op , [& 'op u8] >"), "{call}");
}

#[test]
fn visibility_and_attributes_reach_what_they_are_about() {
    let expanded = accepted(
        Kind::Workflow,
        quote! {
            /// Pays.
            #[cfg(unix)]
            #[tracing::instrument(skip_all)]
            pub(crate) async fn pay(ctx: &mut Ctx, (a, b): (u8, u8)) -> stepwell::Result<()> {}
        },
    );
    assert_eq!(
        expanded.matches("pub (crate)").count(),
        3,
        "type, body, call"
    );
    assert_eq!(expanded.matches("cfg (unix)").count(), 6, "each item");
    assert_eq!(expanded.matches("Pays").count(), 3, "type, body, call");
    assert_eq!(expanded.matches("instrument").count(), 1, "the body");
}

#[test]
fn only_what_steps_do_not_record_is_linted() {
    #[track_caller]
    fn count(body: &TokenStream, expected: usize) {
        let function = quote!(async fn f(ctx: &mut Ctx) -> stepwell::Result<()> { #body });
        let found = errors(expand(Kind::Workflow, TokenStream::new(), function.clone()));
        assert_eq!(found.len(), expected, "{found:?}");
        let allowed = expand(Kind::Workflow, quote!(allow_nondeterminism), function);
        assert!(errors(allowed).is_empty());
    }
    count(&quote!(SystemTime::now(); chrono::Utc::now();), 2);
    count(
        &quote!(tokio::spawn(f()); std::thread::sleep(d); env::var("A");),
        3,
    );
    count(
        &quote!(tokio::select! { _ = f() => {} }; tokio::join!(a, b);),
        2,
    );
    count(&quote!(my::SystemClock::now(); sleep(D); respawn();), 0);
    count(&quote!(ctx.step("a", async || SystemTime::now()).await;), 0);
    count(
        &quote!(ctx.tx("a", async |tx: PgTx| Uuid::new_v4()).await;),
        0,
    );
    count(
        &quote!(ctx.join((step("a", async || rand::random()), sleep(D))).await;),
        0,
    );
    count(&quote!(branch(async |mut ctx| { Instant::now(); });), 1);
    count(&quote!(println!("{}", Uuid::new_v4());), 1);
    count(
        &quote!(stepwell::select!(ctx, a = recv(A) => Utc::now(), _ = sleep(D) => b);),
        1,
    );
    count(
        &quote!(
            fn helper() {
                SystemTime::now();
            }
        ),
        0,
    );
}

#[test]
fn a_step_cannot_use_the_context() {
    let used = "a step cannot use the workflow's context `ctx`";
    let ok = quote!(-> stepwell::Result<()>);
    refused(
        Kind::Workflow,
        quote!(async fn f(ctx: &mut Ctx) #ok {
            ctx.step("a", async || { ctx.run(b()).await; println!("{}", ctx.id()); }).await
        }),
        used,
    );
    accepted(
        Kind::Workflow,
        quote!(async fn f(ctx: &mut Ctx) #ok { ctx.step("a", |ctx| ctx.b()).await }),
    );
}
