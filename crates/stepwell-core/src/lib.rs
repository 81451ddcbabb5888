//! The engine of Stepwell: durable workflows, without a database, a web framework or a broker.
//!
//! Applications use the crate `stepwell`, which adds the attributes and the stores. A workflow is an
//! async function; every durable operation inside it is recorded under its position before the next
//! effect on the world, and recovery runs the function again and answers what is recorded.
//!
//! # Layout
//! - [`Ctx`], [`Call`], [`Handle`], [`App`]: what users type. Typed at the edge.
//! - `op`: the operations, each in two phases: ready, then commit.
//! - `run`, `engine`: a workflow on its way; the executor that takes, runs and hands back. Untyped.
//! - `journal`: group commit.
//! - [`Client`]: workflows from outside, by id.
//! - [`store`]: what the engine asks of a database.
//! - [`testing`]: a harness for users' tests.

mod alert;
mod app;
mod call;
mod client;
pub mod clock;
mod config;
mod ctx;
mod doing;
mod durable;
mod engine;
mod enlist;
mod error;
mod failpoint;
mod failure;
mod handle;
mod hub;
mod id;
mod journal;
pub mod limits;
mod names;
pub mod observe;
mod op;
mod payload;
mod position;
pub mod redrive;
mod registry;
mod run;
mod schedule;
mod send;
mod shown;
pub mod store;
pub mod testing;
mod tx;
mod unique;
mod why;
mod workflow;

pub use alert::{DeadLetter, RepeatedFailures};
pub use app::{App, AppBuilder};
pub use call::Call;
pub use client::{Client, Ended, Follow, Followed, History, Progress, ScheduleSpec, StartOutcome};
pub use ctx::{Bound, Ctx};
pub use doing::Doing;
pub use durable::{Durable, DurableError, Provide, Result, Step, Workflow};
pub use enlist::{Enlist, store_as};
pub use error::{Error, ErrorKind, WorkflowError};
pub use failure::Failure;
pub use handle::{Handle, Wait};
pub use id::{CallId, ExecutorId, Nonce, WorkflowId, WorkflowKey};
pub use jiff::Timestamp;
pub use limits::InvalidInput;
pub use names::{Event, Queue, Stream, Topic};
pub use op::{
    Op,
    branch::{Branch, branch},
    event::{GetEvent, get_event},
    join::JoinOps,
    message::{Recv, RecvBatch, recv, recv_batch},
    race::{Race2, Race3, Race4, Race5, Race6, Race7, Race8, RaceOps},
    retry::Retry,
    sleep::{Sleep, sleep},
    step::{AdHoc, Attempt, Retryable, StepCall, step},
    timeout::{OpExt, Timeout},
    transaction::{AdHocTx, TxCall},
};
pub use payload::Payload;
pub use position::Position;
pub use schedule::{Missed, Schedule};
pub use send::Sending;
pub use tx::{Committed, Isolation, Operation, Tx, TxError, TxOptions, Witness};
pub use unique::{Unique, UniqueRule, UniqueScope};
pub use why::{Home, Release, Why};
pub use workflow::{
    Acknowledgement, DECLINED_NOTE, End, Outcome, Place, Record, RecordKind, State, Takeover,
    kind_and_name,
};

/// A boxed future that can move between threads.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the attributes expand to. Not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use inventory;

    pub use crate::{
        BoxFuture,
        durable::{ContextArg, HasState, ResultLike, Stored},
        id::made,
        op::{Ready, Slot},
        registry::Registration,
    };
}
