//! A running store, and a small client for it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::place::Place;

/// Longer than anything takes; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running store. It is stopped when this is dropped.
pub(crate) struct Store {
    pub(crate) place: Arc<Place>,
    pub(crate) supervisor: Child,
    pub(crate) port: u16,
    /// What the supervisor has printed.
    pub(crate) printed: Arc<Mutex<Vec<String>>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl Store {
    /// A store in a place of its own.
    pub(crate) fn open(place: Place) -> Self {
        Self::open_in(Arc::new(place))
    }

    /// A store, perhaps beside others.
    pub(crate) fn open_in(place: Arc<Place>) -> Self {
        let mut program = place.program();
        let mut supervisor = program.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(supervisor.stdout.take().unwrap()).lines();
        let ready = lines.next().unwrap().unwrap();
        let port = ready.rsplit_once(':').unwrap().1.parse().unwrap();
        let printed = Arc::new(Mutex::new(vec![ready]));
        let kept = Arc::clone(&printed);
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| kept.lock().unwrap().push(line));
        });
        Self {
            place,
            supervisor,
            port,
            printed,
        }
    }

    /// Asks once. None if the process died before it could answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str, header: &str) -> Option<Answer> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{header}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some(Answer {
            status: head.split(' ').nth(1)?.parse().ok()?,
            head: head.to_owned(),
            body: body.to_owned(),
        })
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        until(|| self.ask("GET", path, "", ""))
    }

    /// Sends until there is an answer, as the page does.
    pub(crate) fn post(&self, path: &str) -> Answer {
        until(|| {
            self.ask("POST", path, "", "")
                .filter(|answer| answer.status != 503)
        })
    }

    /// Presses the crash button; no answer is fine.
    pub(crate) fn crash(&self, mode: &str) -> Option<Answer> {
        let body = format!(r#"{{"mode":"{mode}"}}"#);
        self.ask(
            "POST",
            "/crash_application",
            &body,
            "Content-Type: application/json\r\n",
        )
    }

    /// Crashes the store and waits for the next process.
    pub(crate) fn crash_now(&self) {
        let worker = self.worker();
        assert_eq!(self.crash("now").unwrap().status, 200);
        until(|| (self.worker() != worker).then_some(()));
    }

    /// Buys a widget and pays for it. Answers the order.
    pub(crate) fn buy(&self, key: &str) -> String {
        let payment = self.post(&format!("/checkout/{key}"));
        assert_eq!((payment.status, payment.body.as_str()), (200, key));
        let order = self.post(&format!("/payment_webhook/{key}/paid"));
        assert_eq!(order.status, 200);
        order.body
    }

    pub(crate) fn order(&self, id: &str) -> Value {
        self.get(&format!("/order/{id}")).json()
    }

    pub(crate) fn inventory(&self) -> i64 {
        self.get("/product").json()["inventory"].as_i64().unwrap()
    }

    /// Waits until an order is dispatched.
    pub(crate) fn dispatched(&self, order: &str) {
        until(|| (self.order(order)["order_status"] == 1).then_some(()));
    }

    /// The first event with a name on the stream.
    pub(crate) fn event(&self, name: &str, query: &str) -> Value {
        until(|| self.first_event(name, query))
    }

    /// As [`event`](Self::event), if it is there and the process lives.
    pub(crate) fn first_event(&self, name: &str, query: &str) -> Option<Value> {
        let events = self.events(query).ok()?;
        let found = events.into_iter().find(|(found, _)| found == name);
        found.map(|(_, data)| data)
    }

    /// The first two events of the stream.
    fn events(&self, query: &str) -> std::io::Result<Vec<(String, Value)>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(
            stream,
            "GET /live{query} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )?;
        let (mut events, mut name) = (Vec::new(), String::new());
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { break };
            if let Some(event) = line.strip_prefix("event: ") {
                event.clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                events.push((name.clone(), serde_json::from_str(data)?));
                if events.len() == 2 {
                    break;
                }
            }
        }
        Ok(events)
    }

    pub(crate) fn view(&self) -> Value {
        self.event("store", "")
    }

    /// What must be so at any time, and how many widgets are sold.
    pub(crate) fn nothing_is_lost(&self, sold: i64) {
        let view = self.view();
        let invariant = &view["invariant"];
        assert_eq!(invariant["sold"], sold, "{view}");
        assert_eq!(invariant["holds"], true, "{view}");
        assert_eq!(view["applied_twice"], 0, "{view}");
        assert_eq!(
            view["orders"].as_array().unwrap().len(),
            usize::try_from(sold).unwrap()
        );
    }

    pub(crate) fn worker(&self) -> u32 {
        self.view()["process"]["pid"]
            .as_u64()
            .unwrap()
            .try_into()
            .unwrap()
    }

    /// Ends the store in order; answers its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        signal(self.supervisor.id(), Signal::TERM);
        self.supervisor.wait().unwrap().code()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may be gone already.
    let _ = kill_process(pid, signal);
}

/// Waits until `look` has something.
#[track_caller]
pub(crate) fn until<T>(look: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("nothing came of it in {PATIENCE:?}");
}
