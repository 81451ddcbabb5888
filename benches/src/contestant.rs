//! A program that runs workflows on one library and one database, and answers commands.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{driver::Error, stop};

/// Nothing that is asked takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(240);

pub(crate) struct Contestant {
    /// The library and its database.
    pub(crate) name: &'static str,
    /// What it is set to, in its own words.
    pub(crate) settings: String,
    child: Child,
    commands: ChildStdin,
    answers: Receiver<String>,
}

impl Contestant {
    /// Starts the program and waits until it is ready.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Result<Self, Error> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        let commands = child.stdin.take().ok_or("no input to the program")?;
        let output = child.stdout.take().ok_or("no output of the program")?;
        let (sender, answers) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut contestant = Self {
            name,
            settings: String::new(),
            child,
            commands,
            answers,
        };
        let ready = contestant.answer()?;
        contestant.settings = ready["settings"].as_str().unwrap_or_default().to_owned();
        Ok(contestant)
    }

    /// Sends a command and waits for what came out.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, command: &str) -> Result<T, Error> {
        writeln!(self.commands, "{command}")
            .map_err(|error| format!("{} has ended: {error}", self.name))?;
        let answer = self
            .answer()
            .map_err(|error| format!("{}: `{command}`: {error}", self.name))?;
        Ok(serde_json::from_value(answer)?)
    }

    fn answer(&self) -> Result<Value, Error> {
        let asked = Instant::now();
        let line = loop {
            match self.answers.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => break line,
                Err(RecvTimeoutError::Disconnected) => return Err("the program has ended".into()),
                Err(RecvTimeoutError::Timeout) if asked.elapsed() > PATIENCE => {
                    return Err(format!("no answer in {PATIENCE:?}").into());
                }
                Err(RecvTimeoutError::Timeout) => stop::check()?,
            }
        };
        let answer: Value = serde_json::from_str(&line)?;
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => Err(error.to_owned().into()),
            None => Ok(answer),
        }
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        // Its database is thrown away, so that nothing is lost by not ending in peace.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
