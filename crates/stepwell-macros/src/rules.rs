//! The names that the determinism lint knows, why each is refused, and what to write instead.

/// What goes wrong with a group of functions.
struct Group {
    paths: &'static [&'static str],
    /// Ends the sentence "`path` …".
    reason: &'static str,
    instead: &'static str,
}

const OTHER_VALUE: &str = "is not deterministic: a recovered workflow would see another value";
const NOT_RECORDED: &str =
    "starts work that is not recorded: a recovered workflow would start it again";

const GROUPS: [Group; 8] = [
    Group {
        paths: &[
            "Instant::now",
            "Local::now",
            "OffsetDateTime::now_local",
            "OffsetDateTime::now_utc",
            "SystemTime::now",
            "Timestamp::now",
            "Utc::now",
            "Zoned::now",
        ],
        reason: OTHER_VALUE,
        instead: "use `ctx.now().await`",
    },
    Group {
        paths: &[
            "Ulid::new",
            "Uuid::new_v4",
            "Uuid::now_v1",
            "Uuid::now_v6",
            "Uuid::now_v7",
        ],
        reason: OTHER_VALUE,
        instead: "use `ctx.uuid().await`",
    },
    Group {
        paths: &[
            "OsRng",
            "fastrand::bool",
            "fastrand::f64",
            "fastrand::u32",
            "fastrand::u64",
            "fastrand::usize",
            "getrandom::fill",
            "getrandom::u32",
            "getrandom::u64",
            "rand::random",
            "rand::random_bool",
            "rand::random_range",
            "rand::rng",
            "thread_rng",
        ],
        reason: OTHER_VALUE,
        instead: "use `ctx.random().await`",
    },
    Group {
        paths: &[
            "FuturesUnordered::new",
            "Handle::current",
            "JoinSet::new",
            "task::spawn",
            "task::spawn_blocking",
            "task::spawn_local",
            "thread::Builder::new",
            "thread::scope",
            "thread::spawn",
            "tokio::spawn",
        ],
        reason: NOT_RECORDED,
        instead: "use `ctx.join((…))`, `ctx.join_all(…)` or `ctx.start(…)`",
    },
    Group {
        paths: &[
            "Delay::new",
            "thread::park",
            "thread::park_timeout",
            "thread::sleep",
            "time::interval",
            "time::sleep",
            "time::sleep_until",
        ],
        reason: "is not durable: a recovered workflow would wait all over again",
        instead: "use `ctx.sleep(…).await`",
    },
    Group {
        paths: &["time::timeout", "time::timeout_at"],
        reason: "is not recorded: a recovered workflow could time out where it did not before",
        instead: "use `.timeout(…)` on the operation",
    },
    Group {
        paths: &[
            "env::args",
            "env::current_dir",
            "env::temp_dir",
            "env::var",
            "env::var_os",
            "env::vars",
        ],
        reason: "is not deterministic: another process may see another environment",
        instead: "read configuration into the state",
    },
    Group {
        paths: &["thread::current"],
        reason: "is not deterministic: a workflow moves between threads and processes",
        instead: "use `ctx.id()` to tell workflows apart",
    },
];

/// What is wrong with the function `path`, if anything.
pub(crate) fn about_path(path: &str) -> Option<String> {
    let group = GROUPS
        .iter()
        .find(|group| group.paths.iter().any(|known| names(path, known)))?;
    Some(format!(
        "`{path}` {}\nhelp: {}, or move it into a step",
        group.reason, group.instead
    ))
}

/// Whether `path` ends in all segments of `known`.
fn names(path: &str, known: &str) -> bool {
    match path.strip_suffix(known) {
        Some(rest) => rest.is_empty() || rest.ends_with("::"),
        None => false,
    }
}

/// What is wrong with the macro `path!`, if anything.
pub(crate) fn about_macro(path: &str) -> Option<String> {
    let (home, name) = path.rsplit_once("::").unwrap_or(("", path));
    let foreign = matches!(
        home.split("::").next(),
        Some("tokio" | "futures" | "futures_util" | "futures_lite")
    );
    match name {
        // `select!` alone is taken for ours, which checks its own syntax.
        "select" | "select_biased" if foreign => Some(format!(
            "`{path}!` inside a workflow does not record which branch won\n\
             help: use `stepwell::select!(ctx, …)` or `ctx.race((…))`"
        )),
        "join" | "try_join" if foreign || home.is_empty() => Some(format!(
            "`{path}!` inside a workflow does not number what its branches do\n\
             help: use `ctx.join((…))` with operations or with `branch(async |mut ctx| …)`"
        )),
        _ => None,
    }
}
