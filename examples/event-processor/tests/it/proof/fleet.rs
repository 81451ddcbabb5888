//! The processes: the real program, killed by SIGKILL, stopped by SIGTERM.

use std::{
    fmt,
    fs::File,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::sign::SECRET;

pub(super) const REGION: &str = "us-east-1";
pub(super) const TOKEN: &str = "the-one-on-call";

/// A running process.
struct Member {
    child: Child,
    address: String,
}

pub(super) struct Fleet {
    environment: Vec<(&'static str, String)>,
    members: Vec<Member>,
    addresses: Addresses,
    /// What they have said.
    logs: TempDir,
    begun: usize,
    killed: usize,
    stopped: usize,
    http: Http,
}

/// Where those serve that live.
pub(super) type Addresses = Arc<Mutex<Vec<String>>>;

pub(super) type Http = Client<HttpConnector, Full<axum::body::Bytes>>;

pub(super) fn http() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

impl fmt::Display for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            killed, stopped, ..
        } = self;
        write!(f, "{killed} processes killed, {stopped} stopped")
    }
}

impl Fleet {
    pub(super) fn new(database: &str, brokers: &str, sqs: &str, orders: &str) -> Self {
        let environment = [
            ("PORT", "0"),
            ("DATABASE_URL", database),
            ("RUST_LOG", "warn"),
            ("STRIPE_SECRET", SECRET),
            ("GITHUB_SECRET", SECRET),
            ("OPERATOR_TOKEN", TOKEN),
            ("KAFKA_BROKERS", brokers),
            // A member that was killed is missed soon.
            (
                "KAFKA_SETTINGS",
                "session.timeout.ms=6000 heartbeat.interval.ms=500",
            ),
            ("ORDERS_QUEUE_URL", orders),
            ("AWS_ENDPOINT_URL", sqs),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ];
        Self {
            environment: environment
                .map(|(name, value)| (name, value.to_owned()))
                .into(),
            members: Vec::new(),
            addresses: Addresses::default(),
            logs: tempfile::tempdir().unwrap(),
            begun: 0,
            killed: 0,
            stopped: 0,
            http: http(),
        }
    }

    pub(super) fn addresses(&self) -> Addresses {
        Arc::clone(&self.addresses)
    }

    /// Starts one more, and waits until it serves.
    pub(super) async fn add(&mut self) {
        self.begun += 1;
        let log = File::create(self.logs.path().join(format!("{}.log", self.begun))).unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_event-processor"));
        let program = program.envs(self.environment.iter().cloned());
        let program = program.stdin(Stdio::null()).stderr(log);
        let mut child = program.stdout(Stdio::piped()).spawn().unwrap();
        let said = child.stdout.take().unwrap();
        let line = tokio::task::spawn_blocking(|| BufReader::new(said).lines().next());
        let Some(Ok(line)) = line.await.unwrap() else {
            panic!("it does not serve: {}", self.said());
        };
        let (_, address) = line.rsplit_once("http://").unwrap();
        let address = address.to_owned();
        self.addresses.lock().unwrap().push(address.clone());
        self.members.push(Member { child, address });
    }

    /// Kills the oldest one, and starts another.
    pub(super) async fn kill_one(&mut self) {
        let mut oldest = self.take_oldest();
        oldest.child.kill().unwrap();
        oldest.child.wait().unwrap();
        self.killed += 1;
        self.add().await;
    }

    /// Stops the oldest one in order, and starts another meanwhile, as a deployment does.
    pub(super) async fn replace_one(&mut self) {
        let mut oldest = self.take_oldest();
        let pid = Pid::from_raw(i32::try_from(oldest.child.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        self.add().await;
        let ended = tokio::task::spawn_blocking(move || oldest.child.wait());
        let ended = ended.await.unwrap().unwrap();
        assert!(ended.success(), "{ended}: {}", self.said());
        self.stopped += 1;
    }

    fn take_oldest(&mut self) -> Member {
        self.addresses.lock().unwrap().remove(0);
        self.members.remove(0)
    }

    /// What one of them answers to an operator.
    pub(super) async fn get(&self, path: &str) -> String {
        let address = &self.members[0].address;
        let request = axum::http::Request::get(format!("http://{address}{path}"))
            .header("authorization", format!("Bearer {TOKEN}"))
            .body(Full::default())
            .unwrap();
        let answer = self.http.request(request).await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// The logs.
    fn said(&self) -> String {
        let logs = (1..=self.begun).map(|number| {
            let log = self.logs.path().join(format!("{number}.log"));
            std::fs::read_to_string(log).unwrap()
        });
        logs.collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for member in &mut self.members {
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.said());
        }
    }
}
