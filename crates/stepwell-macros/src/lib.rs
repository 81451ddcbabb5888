//! The attributes of Stepwell: [`macro@workflow`], [`macro@step`], [`macro@transaction`],
//! [`State`](derive@State) and [`select!`].
//!
//! They are used through the crate `stepwell`, which exports them and everything that they expand
//! to. An attribute only names and registers: the body of the function stays as it was written, and
//! can be called as such (`charge::plain(…)`).
//!
//! ```ignore
//! #[step]
//! async fn charge(#[state] gateway: &Gateway, card: &Card, cents: u64) -> stepwell::Result<Receipt> {
//!     Ok(gateway.charge(card, cents).await?)
//! }
//!
//! #[workflow]
//! async fn checkout(ctx: &mut Ctx<Shop>, card: Card) -> stepwell::Result<()> {
//!     let receipt = ctx.run(charge(&card, 1_200).retry(Retry::times(5))).await?;
//!     ctx.set_event(RECEIPT, receipt).await;
//!     Ok(())
//! }
//! ```
//!
//! # Layout
//!
//! - `workflow`, `step`, `transaction`, `state`, `select`: one macro each.
//! - `kind`, `options`, `signature`, `attributes`, `parameters`: what the attributes share.
//! - `cron`: checks schedules. `determinism` and `rules`: the lint on the body of a workflow.

use proc_macro::TokenStream;
use syn::{DeriveInput, Error, ItemFn, parse_macro_input};

mod attributes;
mod cron;
mod determinism;
mod isolation;
mod kind;
mod options;
mod parameters;
mod rules;
mod select;
mod signature;
mod state;
mod step;
mod transaction;
mod workflow;

#[cfg(test)]
mod tests;

/// Makes an `async fn` a workflow: a function whose progress is kept in the database.
///
/// # Options
///
/// - `name = "…"`: the name under which it is kept, if that is to survive a new function name.
/// - `schedule = "0 9 * * MON"`: starts it at each tick of a cron expression with five fields, six
///   with the seconds first, or seven with the years last; at `@hourly`, `@daily` and the like; or
///   evenly: `@every 90s`. The workflow takes no argument, or the time of the tick.
/// - `timezone = "Europe/Berlin"`: the zone of the schedule, which is UTC otherwise.
/// - `missed = "latest"`: what becomes of ticks that passed while no executor was there. Only the
///   latest of them starts the workflow (the default), each (`all`) or none (`skip`).
/// - `allow_nondeterminism`: does without the lint below.
///
/// # What it expands to
///
/// ```ignore
/// #[workflow]
/// async fn ship(ctx: &mut Ctx<Shop>, order: u64) -> Result<Parcel, ShipError> { /* … */ }
///
/// // becomes
/// struct ship {}
/// impl ship {
///     async fn body(ctx: &mut Ctx<Shop>, order: u64) -> Result<Parcel, ShipError> { /* … */ }
/// }
/// impl Workflow for ship {
///     const NAME: &'static str = "ship";
///     const SCHEDULE: Option<Schedule> = None;
///     type State = Shop;
///     type Args = (u64,);
///     type Output = Parcel;
///     type Error = ShipError;
///     fn run<'a>(
///         ctx: &'a mut Ctx<Shop>,
///         (order,): (u64,),
///     ) -> BoxFuture<'a, Result<Parcel, ShipError>> {
///         Box::pin(ship::body(ctx, order))
///     }
/// }
/// inventory::submit! { Registration::of::<ship>() }
/// fn ship(order: u64) -> Call<ship> { Call::new((order,)) }
/// ```
///
/// # Errors
///
/// It refuses, with a message that says what to write:
///
/// - a function that is not `async`, or is generic, `const`, `unsafe`, `extern` or a method;
/// - a first parameter that is not `&mut Ctx<State>`, a borrowed argument, an `impl Trait`;
/// - a return type that is no `Result`;
/// - an unknown option, a wrong name, cron expression or time zone, and a schedule together with
///   more than one argument;
/// - in the body, outside steps: clocks, random numbers, spawned tasks and threads, sleeps and
///   timeouts of other libraries, `tokio::select!` and its like, and the environment, because a
///   recovered workflow would find another answer there;
/// - the workflow's context inside the closure of a step.
#[proc_macro_attribute]
pub fn workflow(options: TokenStream, function: TokenStream) -> TokenStream {
    let function = parse_macro_input!(function as ItemFn);
    workflow::expand(options.into(), function).into()
}

/// Makes an `async fn` a step: its result is recorded, and it does not run again once it is.
///
/// A parameter `#[state] x: &T` is injected from the state of the workflow that runs the step, and
/// `#[attempt] a: &Attempt` tells which attempt this is. The others are the parameters of the call:
/// `&T` is borrowed for as long as the step runs, and what is owned is cloned for each attempt.
///
/// # Options
///
/// - `name = "…"`: the name under which it is recorded.
///
/// # What it expands to
///
/// ```ignore
/// #[step]
/// async fn charge(#[state] gateway: &Gateway, card: &Card, cents: u64) -> Result<Receipt, ChargeError> {
///     /* … */
/// }
///
/// // becomes
/// struct charge {}
/// impl charge {
///     async fn plain(gateway: &Gateway, card: &Card, cents: u64) -> Result<Receipt, ChargeError> {
///         /* … */
///     }
/// }
/// impl Step for charge {
///     const NAME: &'static str = "charge";
///     type Output = Receipt;
///     type Error = ChargeError;
/// }
/// fn charge<'op, S>(card: &'op Card, cents: u64) -> StepCall<'op, S, charge>
/// where
///     S: Send + Sync + 'static + Provide<Gateway>,
/// {
///     StepCall::new(move |state: Arc<S>, attempt: Attempt| {
///         let cents = cents.clone();
///         Box::pin(async move {
///             charge::plain(Provide::<Gateway>::provide(&*state), card, cents).await
///         })
///     })
/// }
/// ```
///
/// # Code that blocks
///
/// A step shares its thread with every workflow of the process. What blocks (a driver without
/// `async`, a computation, `std::thread::sleep`) belongs into `tokio::task::spawn_blocking`:
///
/// ```ignore
/// #[step]
/// async fn render(page: Page) -> stepwell::Result<Vec<u8>> {
///     Ok(tokio::task::spawn_blocking(move || render_slowly(&page)).await?)
/// }
/// ```
///
/// A step that blocks all the same costs no lease and runs no second time, but the workflows beside
/// it stand still, and a cancellation or a shutdown cannot end it.
///
/// # Errors
///
/// It refuses, with a message that says what to write:
///
/// - a function that is not `async`, or is generic, `const`, `unsafe`, `extern` or a method;
/// - a parameter that is `&mut`, an `impl Trait`, or owned without being `Clone`;
/// - a `#[state]` or `#[attempt]` parameter that is not a shared reference;
/// - a return type that is no `Result`;
/// - an unknown option or a wrong name.
#[proc_macro_attribute]
pub fn step(options: TokenStream, function: TokenStream) -> TokenStream {
    let function = parse_macro_input!(function as ItemFn);
    step::expand(options.into(), function).into()
}

/// Makes an `async fn` a transaction: its changes and its record are committed together.
///
/// The first parameter is the transaction, `tx: &mut PgTx` or another `Tx`; the pool comes from the
/// state. The other parameters are those of a [`macro@step`], except for `#[attempt]`.
///
/// # Options
///
/// - `name = "…"`: the name under which it is recorded.
/// - `isolation = "…"`: `read_committed`, `repeatable_read` or `serializable`; as the database does
///   by default if nothing is said. What conflicts with another transaction is undone and runs again.
/// - `read_only`: nothing in it may write. It keeps no witness in the user's database: like a step,
///   it may run again after a crash, and never once it is recorded.
///
/// # What it expands to
///
/// ```ignore
/// #[transaction]
/// async fn reserve(tx: &mut PgTx, product: i32) -> stepwell::Result<bool> { /* … */ }
///
/// // becomes a type like that of a step, and
/// fn reserve<'op, S>(product: i32) -> TxCall<'op, S, PgTx, reserve>
/// where
///     S: Send + Sync + 'static + Provide<<PgTx as Tx>::Source>,
/// {
///     TxCall::new(TxOptions::default(), move |state: Arc<S>, mut tx: PgTx| {
///         let product = product.clone();
///         Box::pin(async move { reserve::plain(&mut tx, product).await })
///     })
/// }
/// ```
///
/// # Errors
///
/// It refuses what a [`macro@step`] refuses, a first parameter that is not `&mut` a transaction,
/// `#[attempt]`, and an isolation level that there is not.
#[proc_macro_attribute]
pub fn transaction(options: TokenStream, function: TokenStream) -> TokenStream {
    let function = parse_macro_input!(function as ItemFn);
    transaction::expand(options.into(), function).into()
}

/// Lets steps ask for the fields of a struct by their types.
///
/// # What it expands to
///
/// ```ignore
/// #[derive(State)]
/// struct Shop {
///     #[provide]
///     gateway: Gateway,
///     secret: String,
/// }
///
/// // adds
/// impl Provide<Gateway> for Shop {
///     fn provide(&self) -> &Gateway { &self.gateway }
/// }
/// ```
///
/// # Errors
///
/// It refuses an enum or a union, options of `#[provide]`, and two provided fields of one type.
#[proc_macro_derive(State, attributes(provide))]
pub fn state(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    state::expand(&input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// Runs two to eight operations at once and goes on with the first that is done; the others are
/// dropped. Which one it was is recorded.
///
/// ```ignore
/// let approved = stepwell::select!(ctx,
///     answer = recv(APPROVAL) => answer,
///     _ = sleep(Duration::from_secs(3600)) => false,
/// );
/// ```
///
/// # What it expands to
///
/// ```ignore
/// match ctx.race((recv(APPROVAL), sleep(Duration::from_secs(3600)))).await {
///     Race2::A(value) => { let answer = value; answer }
///     Race2::B(value) => { let _ = value; false }
/// }
/// ```
///
/// # Errors
///
/// It refuses a missing context, fewer than two or more than eight arms, and an arm that is not
/// `pattern = operation => expression`. The pattern must match every value, as in a `let`.
#[proc_macro]
pub fn select(input: TokenStream) -> TokenStream {
    let select = parse_macro_input!(input as select::Select);
    select.expand().into()
}
