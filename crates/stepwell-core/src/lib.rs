//! The engine of Stepwell: durable workflows, without a database, a web framework or a broker.

pub mod clock;
mod id;
pub mod limits;
mod payload;
mod position;
pub mod store;
mod tx;
mod workflow;

pub use id::{ExecutorId, WorkflowId, WorkflowKey};
pub use limits::InvalidInput;
pub use payload::Payload;
pub use position::Position;
pub use tx::{Committed, Operation, Tx, TxError, Witness};
pub use workflow::{End, Outcome, Place, Record, RecordKind, State, Takeover, Workflow};

/// A boxed future that can move between threads.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
