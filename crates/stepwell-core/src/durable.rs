//! The traits that `#[workflow]`, `#[step]` and `#[derive(State)]` implement, and what they ask of
//! the types that cross a checkpoint.

use serde::{Serialize, de::DeserializeOwned};

use crate::{BoxFuture, ctx::Ctx, failure::Failure, schedule::Schedule};

/// The result of a workflow or a step. The default error is [`Failure`], which `?` makes from every
/// `std::error::Error`.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// What crosses a checkpoint: arguments, results, messages, events.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored in a checkpoint",
    label = "not storable",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to `{Self}`",
    note = "what crosses a checkpoint must also be `Send` and own its data"
)]
pub trait Durable: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Durable for T {}

/// What a workflow or a step may fail with.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a durable function",
    label = "not a durable error",
    note = "derive `serde::Serialize`, `serde::Deserialize` and `thiserror::Error` for it, or use \
            `stepwell::Result<T>`, whose error takes every `std::error::Error`"
)]
pub trait DurableError: Durable + Sync + std::fmt::Display {}

#[diagnostic::do_not_recommend]
impl<T: Durable + Sync + std::fmt::Display> DurableError for T {}

/// A state that has a `T` for steps and transactions. `#[derive(State)]` implements it for every
/// field that is marked `#[provide]`.
#[diagnostic::on_unimplemented(
    message = "the state `{Self}` does not provide `{T}`",
    label = "this durable function needs a `{T}` from the state",
    note = "add a field `#[provide] name: {T}` to `{Self}` and derive `stepwell::State`, or implement \
            `stepwell::Provide<{T}>` for it"
)]
pub trait Provide<T: ?Sized> {
    /// The piece.
    fn provide(&self) -> &T;
}

impl<T> Provide<T> for T {
    fn provide(&self) -> &T {
        self
    }
}

/// A workflow: implemented by `#[workflow]` on a type that shares the function's name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a workflow",
    note = "mark the function with `#[stepwell::workflow]`"
)]
pub trait Workflow: Sized + Send + 'static {
    /// The name that rows carry.
    const NAME: &'static str;
    /// When it starts by itself.
    const SCHEDULE: Option<Schedule>;
    /// The state of the applications that can run it.
    type State: Send + Sync + 'static;
    /// The arguments, as a tuple.
    type Args: Durable;
    /// What it returns.
    type Output: Durable;
    /// What it fails with.
    type Error: DurableError;

    /// Runs the body.
    fn run<'a>(
        ctx: &'a mut Ctx<Self::State>,
        args: Self::Args,
    ) -> BoxFuture<'a, Result<Self::Output, Self::Error>>;
}

/// A step or a transaction: implemented by `#[step]` and `#[transaction]`.
pub trait Step: 'static {
    /// The name that records carry.
    const NAME: &'static str;
    /// What it returns.
    type Output: Durable;
    /// What it fails with.
    type Error: DurableError;
}

/// The first parameter of a workflow.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the first parameter of a workflow must be `&mut Ctx<State>`, found `&mut {Self}`"
)]
pub trait ContextArg {
    /// The state.
    type State;
}

impl<S> ContextArg for Ctx<S> {
    type State = S;
}

/// What a durable function returns.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a durable function returns a `Result`, found `{Self}`",
    label = "not a `Result`",
    note = "write `-> stepwell::Result<{Self}>` or `-> Result<{Self}, YourError>`"
)]
pub trait ResultLike {
    /// The output.
    type Ok;
    /// The error.
    type Err;
}

// The bounds are here so that a type that cannot be stored is reported in our words, at the
// function's return type.
impl<T: Durable, E: DurableError> ResultLike for std::result::Result<T, E> {
    type Ok = T;
    type Err = E;
}

/// An argument's type, if it can be stored: so that one that cannot is reported in our words, at the
/// argument.
#[doc(hidden)]
pub trait Stored {
    /// The type itself.
    type Itself;
}

impl<T: Durable> Stored for T {
    type Itself = T;
}

/// The state of a parent and of its child: the same type.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a workflow with the state `{Self}` cannot run one with the state `{T}`",
    label = "this child needs the state `{T}`",
    note = "a child runs in the application of its parent: give both the same state type"
)]
pub trait HasState<T> {}

impl<T> HasState<T> for T {}
