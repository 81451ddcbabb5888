//! Which of the three attributes is expanded, and the words that its errors use.

/// A function that the engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Workflow,
    Step,
    Transaction,
}

impl Kind {
    /// The word, with its article.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Workflow => "a workflow",
            Self::Step => "a step",
            Self::Transaction => "a transaction",
        }
    }

    /// The attribute, as the user writes it.
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Self::Workflow => "#[workflow]",
            Self::Step => "#[step]",
            Self::Transaction => "#[transaction]",
        }
    }

    /// The options that the attribute takes, for error messages.
    pub(crate) fn options(self) -> &'static str {
        match self {
            Self::Workflow => {
                "`name = \"…\"`, `schedule = \"…\"`, `timezone = \"…\"` and `allow_nondeterminism`"
            }
            Self::Step => "`name = \"…\"`",
            Self::Transaction => "`name = \"…\"`, `isolation = \"…\"` and `read_only`",
        }
    }

    /// The first parameter that the signature must have, for error messages.
    pub(crate) fn example(self) -> &'static str {
        match self {
            Self::Workflow => "ctx: &mut Ctx<State>",
            Self::Step => "#[state] gateway: &Gateway",
            Self::Transaction => "tx: &mut PgTx",
        }
    }

    /// The associated function that keeps the user's body.
    pub(crate) fn body(self) -> &'static str {
        match self {
            Self::Workflow => "body",
            Self::Step | Self::Transaction => "plain",
        }
    }
}
