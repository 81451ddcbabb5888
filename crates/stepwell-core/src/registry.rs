//! The workflows that this process knows, by name.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::Arc,
};

use crate::{
    BoxFuture,
    ctx::Ctx,
    durable::{Durable, Workflow},
    error::{Error, ErrorKind, Fault},
    failure::Failure,
    limits::{InvalidInput, Text},
    payload::Payload,
    run::Run,
    schedule::Schedule,
};

/// How a body came to its end, without types.
pub(crate) type BodyEnd = Result<Result<Payload, FailedBody>, InvalidInput>;
/// A body, started: it ends, or the arguments do not fit and the sentence says why.
pub(crate) type Body = Result<BoxFuture<'static, BodyEnd>, String>;
/// Starts the body of a workflow of one type with its arguments.
pub(crate) type RunBody = Arc<dyn Fn(Arc<Run>, &Payload) -> Body + Send + Sync>;

/// An error that a body has returned.
#[derive(Debug)]
pub(crate) struct FailedBody {
    /// What is stored.
    pub(crate) fault: Payload,
    /// Type and message without digits and ids.
    pub(crate) fingerprint: String,
    /// The message, shortened.
    pub(crate) reason: String,
    /// The HTTP status that it has.
    pub(crate) status: Option<u16>,
}

/// A workflow that `#[workflow]` has put into this program.
///
/// Collected at link time; an application takes those whose state is its own.
pub struct Registration {
    pub(crate) name: &'static str,
    pub(crate) schedule: Option<Schedule>,
    workflow: fn() -> TypeId,
    pub(crate) state: fn() -> TypeId,
    pub(crate) state_name: fn() -> &'static str,
    run: fn(Arc<dyn Any + Send + Sync>) -> Option<RunBody>,
}

impl Registration {
    /// The registration of a workflow type.
    #[must_use]
    pub const fn of<W: Workflow>() -> Self {
        Self {
            name: W::NAME,
            schedule: W::SCHEDULE,
            workflow: TypeId::of::<W>,
            state: TypeId::of::<W::State>,
            state_name: std::any::type_name::<W::State>,
            run: |state| Some(run_body::<W>(state.downcast::<W::State>().ok()?)),
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

inventory::collect!(Registration);

/// The only code that is compiled once for every workflow type.
fn run_body<W: Workflow>(state: Arc<W::State>) -> RunBody {
    Arc::new(move |run, input| {
        let args: W::Args = read_args(input).map_err(|error| {
            format!("the recorded arguments no longer fit their types: {error}")
        })?;
        let mut ctx = Ctx::new(Arc::clone(&run), Arc::clone(&state));
        Ok(Box::pin(async move {
            let bytes_max = run.engine.config.payload_bytes_max;
            match W::run(&mut ctx, args).await {
                Ok(output) => Ok(Ok(Payload::of_durable(&output, bytes_max)?)),
                Err(error) => {
                    let message = error.to_string();
                    let fingerprint = fingerprint(std::any::type_name::<W::Error>(), &message);
                    let status = status_of(&error);
                    let fault = Payload::of_durable(&Fault::Failed(error), bytes_max)?;
                    Ok(Err(FailedBody {
                        fault,
                        fingerprint,
                        reason: shortened(&message),
                        status,
                    }))
                }
            }
        }))
    })
}

/// The HTTP status of an error that can have one.
fn status_of<E: 'static>(error: &E) -> Option<u16> {
    let error: &dyn Any = error;
    error.downcast_ref::<Failure>()?.status()
}

/// A workflow without arguments ignores what it is given: a schedule hands the tick to everybody.
fn read_args<A: Durable>(input: &Payload) -> Result<A, serde_json::Error> {
    if TypeId::of::<A>() == TypeId::of::<()>() {
        return Payload::null().read();
    }
    input.read()
}

/// How much of a type's name, and of a message, a fingerprint holds: both fit
/// [`Text::Fingerprint`] in any language.
const FINGERPRINT_PART_CHARS_MAX: usize = 200;

/// What errors that are alike have in common: the type, and the message without digits and without
/// words that look like ids.
pub(crate) fn fingerprint(type_name: &str, message: &str) -> String {
    let words = message.split_whitespace().map(|word| {
        let is_id = word.len() > 12 && word.chars().any(|c| c.is_ascii_digit());
        if is_id {
            "…".to_owned()
        } else {
            word.chars().filter(|c| !c.is_ascii_digit()).collect()
        }
    });
    let words = words.collect::<Vec<_>>().join(" ");
    // It is shown, and asked for by operators: it holds nothing that steers a terminal.
    let of = |text: &str| -> String {
        let visible = text.chars().filter(|c| !c.is_control());
        visible.take(FINGERPRINT_PART_CHARS_MAX).collect()
    };
    format!("{}: {}", of(&without_paths(type_name)), of(&words))
}

/// The bound of an error's message in a list, in characters.
const REASON_CHARS_MAX: usize = 200;

/// The message of an error on one line, cut off where it is long. It holds nothing that steers a
/// terminal; the whole message is in the result.
pub(crate) fn shortened(message: &str) -> String {
    // Of a message that is very long only the beginning is looked at.
    let beginning: String = message.chars().take(REASON_CHARS_MAX * 4).collect();
    let words: Vec<_> = beginning.split_whitespace().collect();
    let visible = words.join(" ").replace(char::is_control, "");
    let mut short: String = visible.chars().take(REASON_CHARS_MAX).collect();
    if short.len() < visible.len() || beginning.len() < message.len() {
        short.push('…');
    }
    short
}

/// `alloc::vec::Vec<shop::PayError>` as `Vec<PayError>`: a type that moves stays the same error.
fn without_paths(type_name: &str) -> String {
    let is_of_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut short = String::with_capacity(type_name.len());
    let mut rest = type_name;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        let (path, behind) = rest.split_at(end);
        short.push_str(path.rsplit("::").next().unwrap_or(path));
        let mut others = behind.chars();
        short.extend(others.next());
        rest = others.as_str();
    }
    short
}

/// A workflow that this process can run.
pub(crate) struct Known {
    workflow: TypeId,
    pub(crate) run: RunBody,
    pub(crate) schedule: Option<Schedule>,
}

/// The workflows that this process knows.
#[derive(Default)]
pub(crate) struct Registry {
    known: HashMap<&'static str, Known>,
}

impl Registry {
    /// Takes the linked registrations whose state is `S`, or needs none.
    pub(crate) fn linked<S: Send + Sync + 'static>(state: &Arc<S>) -> Result<Self, Error> {
        let mut registry = Self::default();
        for registration in inventory::iter::<Registration> {
            registry.add(registration, state)?;
        }
        Ok(registry)
    }

    /// Takes one registration, if this application has its state.
    pub(crate) fn add<S: Send + Sync + 'static>(
        &mut self,
        registration: &Registration,
        state: &Arc<S>,
    ) -> Result<(), Error> {
        let run = if (registration.state)() == TypeId::of::<S>() {
            (registration.run)(Arc::clone(state) as Arc<dyn Any + Send + Sync>)
        } else if (registration.state)() == TypeId::of::<()>() {
            (registration.run)(Arc::new(()))
        } else {
            tracing::debug!(
                workflow = registration.name,
                state = (registration.state_name)(),
                "not run here: this application has another state"
            );
            None
        };
        let Some(run) = run else { return Ok(()) };
        Text::WorkflowName
            .check(registration.name)
            .map_err(|error| Error::new(ErrorKind::Setup, error.to_string()))?;
        let workflow = (registration.workflow)();
        let known = Known {
            workflow,
            run,
            schedule: registration.schedule,
        };
        match self.known.insert(registration.name, known) {
            // Registered by hand although it is linked: the same one.
            Some(before) if before.workflow != workflow => Err(Error::new(
                ErrorKind::Setup,
                format!(
                    "two workflows are named `{0}`; rename one, or give it a name of its own: \
                     #[workflow(name = \"…\")]",
                    registration.name
                ),
            )),
            _ => Ok(()),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Known> {
        self.known.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Known)> {
        self.known.iter().map(|(name, known)| (*name, known))
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.known.keys().map(|name| (*name).to_owned()).collect()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.known.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_differ_in_numbers_and_ids_are_alike() {
        let one = fingerprint("E", "order 17 of 0192f1d2-7a11-7c30 has 3 widgets");
        let two = fingerprint("E", "order 9 of 0192f1d2-9b22-7d41 has 12 widgets");
        assert_eq!(one, two);
        assert_eq!(one, "E: order  of … has  widgets");
        let long = fingerprint(
            &"数".repeat(1_000),
            &format!("a\0\u{1b}[mb {}", "🦀".repeat(1_000)),
        );
        assert!(long.contains(": a[mb 🦀"), "{long}");
        assert_eq!(Text::Fingerprint.check(&long), Ok(()));
        assert!(!long.contains(char::is_control));
    }

    #[test]
    fn a_message_is_shortened_to_a_line() {
        assert_eq!(
            shortened("no pan\n  on\u{1b}[31m stock\0 7"),
            "no pan on[31m stock 7"
        );
        let long = shortened(&"数 ".repeat(1_000_000));
        assert_eq!(long.chars().count(), REASON_CHARS_MAX + 1);
        assert!(long.ends_with('…'), "{long}");
        assert_eq!(
            shortened(&"x".repeat(REASON_CHARS_MAX)),
            "x".repeat(REASON_CHARS_MAX)
        );
        assert!(shortened(&" ".repeat(10_000)).ends_with('…'));
    }

    #[test]
    fn an_error_that_moved_to_another_module_is_the_same() {
        assert_eq!(
            without_paths("core::result::Result<alloc::vec::Vec<shop::Pan>, shop::pay::PayError>"),
            "Result<Vec<Pan>, PayError>"
        );
        assert_eq!(without_paths("&(a::b::C, [u8])"), "&(C, [u8])");
        assert_eq!(without_paths(""), "");
    }
}
