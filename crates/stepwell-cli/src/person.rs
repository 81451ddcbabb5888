//! Who pauses something, and why: it is shown with what is paused.

use std::env;

use clap::Args;

/// Who does it, and why.
#[derive(Debug, Args)]
pub(crate) struct Person {
    /// Why; shown to everybody who looks
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    /// Who; the user who runs the command unless it is said
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Person {
    /// Their name.
    pub(crate) fn name(&self) -> String {
        let from = |name: &&str| env::var(name).ok().filter(|value| !value.is_empty());
        let user = || ["USER", "LOGNAME"].iter().find_map(from);
        let number = || format!("user {}", nix::unistd::getuid());
        self.by.clone().or_else(user).unwrap_or_else(number)
    }
}
