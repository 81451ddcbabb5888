//! Crash points for tests with real processes. Without the feature `failpoints` they are nothing.

/// Names a point at which a test may kill the process.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        ::fail::fail_point!($name);
    };
}

pub(crate) use failpoint;
