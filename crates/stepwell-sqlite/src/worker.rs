//! Where jobs on connections run: on threads of the store, or in the calling task.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::{Builder, JoinHandle},
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::{connection, error::Failure};

/// How many jobs wait for a thread before their callers do.
const WAITING_MAX: usize = 256;

/// How many threads read.
const READERS: usize = 2;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;
type Jobs = Arc<Mutex<mpsc::Receiver<Job>>>;

/// Runs jobs on connections.
#[derive(Debug)]
pub(crate) enum Worker {
    /// In the calling task. For memory: nothing waits for a disk there, and a task that waited for
    /// a thread would let a test's paused clock skip ahead.
    Inline(Mutex<Connection>),
    /// On threads, so that no task of the application waits for a disk.
    Threads { writer: Lane, readers: Lane },
}

impl Worker {
    /// Starts the threads on a file that is migrated.
    pub(crate) fn threads(writer: Connection, path: &Path) -> Result<Self, Failure> {
        let readers = (0..READERS)
            .map(|_| connection::reader(path))
            .collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(Self::Threads {
            writer: Lane::open("stepwell-sqlite-writer", vec![writer])?,
            readers: Lane::open("stepwell-sqlite-reader", readers)?,
        })
    }

    /// Runs a job that writes.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        match self {
            Self::Inline(db) => inline(db, job),
            Self::Threads { writer, .. } => writer.run(job).await,
        }
    }

    /// Runs a job that only reads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        match self {
            Self::Inline(db) => inline(db, job),
            Self::Threads { readers, .. } => readers.run(job).await,
        }
    }
}

fn inline<T>(
    db: &Mutex<Connection>,
    job: impl FnOnce(&mut Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut db = db.lock().unwrap_or_else(PoisonError::into_inner);
    // A job that panicked has undone its transaction on the way out.
    catch_unwind(AssertUnwindSafe(|| job(&mut db))).unwrap_or(Err(Failure::Panicked))
}

/// Threads that take jobs from one bounded line, each with a connection of its own.
#[derive(Debug)]
pub(crate) struct Lane {
    jobs: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Lane {
    fn open(name: &str, connections: Vec<Connection>) -> Result<Self, Failure> {
        let (jobs, line) = mpsc::channel(WAITING_MAX);
        let line = Arc::new(Mutex::new(line));
        let start = |db| {
            let line = Arc::clone(&line);
            Builder::new()
                .name(name.to_owned())
                .spawn(move || work(db, &line))
                .map_err(|error| Failure::File("no thread could be started", error))
        };
        Ok(Self {
            threads: connections
                .into_iter()
                .map(start)
                .collect::<Result<_, _>>()?,
            jobs: Some(jobs),
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            // Whoever asked may have gone; what was written stays written.
            let _ = answer.send(job(db));
        });
        let jobs = self.jobs.as_ref().ok_or(Failure::Stopped)?;
        jobs.send(job).await.map_err(|_| Failure::Stopped)?;
        // The threads do what was handed in before they end: only a panic leaves no answer.
        answered.await.map_err(|_| Failure::Panicked)?
    }
}

impl Drop for Lane {
    /// Ends the threads after the jobs that were handed in.
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}

fn work(mut db: Connection, line: &Jobs) {
    loop {
        // One thread waits in the line, the others for their turn to wait.
        let next = line
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv();
        let Some(job) = next else { return };
        // The caller of a job that panics is told that there is no answer; its transaction was
        // undone on the way out. The thread goes on for the others.
        let _ = catch_unwind(AssertUnwindSafe(|| job(&mut db)));
    }
}
