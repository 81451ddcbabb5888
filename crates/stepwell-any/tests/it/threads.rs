//! An application on threads of its own, as in a process of its own.

use std::{
    future::Future,
    sync::mpsc::{Receiver, channel},
    thread,
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};

use crate::wait::PATIENCE;

/// What a user's runtime may be, where one step that blocks stops all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    CurrentThread,
    OneWorker,
}

impl Flavor {
    fn build(self) -> Runtime {
        let mut builder = match self {
            Self::CurrentThread => Builder::new_current_thread(),
            Self::OneWorker => Builder::new_multi_thread(),
        };
        builder.worker_threads(1).enable_all().build().unwrap()
    }
}

/// A runtime, and the thread that drives it.
pub(crate) struct Threads {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    ended: Receiver<()>,
}

impl Threads {
    pub(crate) fn new(flavor: Flavor) -> Self {
        let runtime = flavor.build();
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = channel();
        thread::spawn(move || {
            drop(runtime.block_on(stopped));
            // Waits for whatever blocks a thread.
            drop(runtime);
            // Whoever waits for it may have given up.
            let _ = end.send(());
        });
        Self {
            handle,
            stop: Some(stop),
            ended,
        }
    }

    /// Runs something there.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        self.handle.spawn(work).await.unwrap()
    }

    /// Ends the runtime, and waits until it is gone.
    pub(crate) async fn end(mut self) {
        drop(self.stop.take());
        let ended = tokio::task::spawn_blocking(move || self.ended.recv_timeout(PATIENCE));
        ended.await.unwrap().expect("a thread is blocked for ever");
    }
}
