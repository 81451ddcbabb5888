//! Who may see and start what: the rule that routes go by, and the hook for one of your own.

use std::{borrow::Cow, fmt, sync::Arc};

use http::Extensions;
use sha2::{Digest, Sha256};
use stepwell_core::{
    Client,
    limits::{PRINCIPAL_ATTRIBUTE, Text},
    store::Workflow,
};

use crate::{idempotency::Principal, problem::Problem};

/// How many ancestors of a workflow are asked for whom it was started. Children that nest deeper are
/// shown to nobody.
const ANCESTORS_MAX: usize = 32;

/// Whether something is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is.
    Allow,
    /// It is not. The client is answered as if there were no such workflow.
    Deny,
}

impl Decision {
    fn when(allowed: bool) -> Self {
        if allowed { Self::Allow } else { Self::Deny }
    }
}

/// What a client asks for.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Target<'a> {
    /// To start a new workflow of this name.
    Start {
        /// The name of the function.
        workflow: &'static str,
    },
    /// To see a workflow that is there: by its status, its events, or by a start with its id.
    See {
        /// The workflow.
        workflow: &'a Workflow,
        /// For whom it was started, or the nearest of the workflows that it is a child of.
        principal: Option<&'a str>,
    },
}

/// What decides.
type Rule = dyn Fn(&Extensions, Target<'_>) -> Decision + Send + Sync;

/// Who may see and start what.
#[derive(Clone, Default)]
pub(crate) enum Authorizer {
    /// Everybody may start; a workflow is seen by the principal for whom it was started.
    #[default]
    Principal,
    /// The host's own rule.
    Own(Arc<Rule>),
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Principal => "Principal",
            Self::Own(_) => "Own",
        })
    }
}

impl Authorizer {
    /// A rule of the host's own.
    pub(crate) fn own(
        rule: impl Fn(&Extensions, Target<'_>) -> Decision + Send + Sync + 'static,
    ) -> Self {
        Self::Own(Arc::new(rule))
    }

    fn decide(&self, caller: &Extensions, target: Target<'_>) -> Decision {
        match self {
            Self::Own(rule) => rule(caller, target),
            Self::Principal => match target {
                Target::Start { .. } => Decision::Allow,
                Target::See { principal, .. } => {
                    let asks = caller.get::<Principal>().map(Principal::kept);
                    Decision::when(asks.as_deref() == principal)
                }
            },
        }
    }

    /// Whether a workflow of this name may be started.
    ///
    /// # Errors
    /// 403 if it may not.
    pub(crate) fn may_start(
        &self,
        caller: &Extensions,
        workflow: &'static str,
    ) -> Result<(), Problem> {
        match self.decide(caller, Target::Start { workflow }) {
            Decision::Allow => Ok(()),
            Decision::Deny => Err(Problem::new(
                http::StatusCode::FORBIDDEN,
                "you may not start this",
            )),
        }
    }

    /// Whether a workflow may be seen.
    ///
    /// # Errors
    /// If its ancestors cannot be asked.
    pub(crate) async fn may_see(
        &self,
        client: &Client,
        caller: &Extensions,
        workflow: &Workflow,
    ) -> Result<Decision, Problem> {
        let principal = principal_of(client, workflow).await?;
        let target = Target::See {
            workflow,
            principal: match &principal {
                Owner::Named(name) => Some(name),
                Owner::Nobody => None,
                Owner::Unknown => return Ok(Decision::Deny),
            },
        };
        Ok(self.decide(caller, target))
    }
}

/// For whom a workflow was started.
enum Owner {
    Named(String),
    Nobody,
    /// It has more ancestors than are asked.
    Unknown,
}

/// The principal of a workflow, or of the nearest one that it is a child of: what a workflow of Ann's
/// starts is Ann's.
async fn principal_of(client: &Client, workflow: &Workflow) -> Result<Owner, Problem> {
    if let Some(name) = workflow.principal() {
        return Ok(Owner::Named(name.to_owned()));
    }
    let mut parent = workflow.parent.clone();
    for _ in 0..ANCESTORS_MAX {
        let Some(id) = parent else {
            return Ok(Owner::Nobody);
        };
        let Some(found) = client.get(id.as_str()).await? else {
            return Ok(Owner::Nobody);
        };
        if let Some(name) = found.principal() {
            return Ok(Owner::Named(name.to_owned()));
        }
        parent = found.parent;
    }
    Ok(match parent {
        None => Owner::Nobody,
        Some(_) => Owner::Unknown,
    })
}

/// What a principal's name begins with in a row when it stands there as a digest.
const DIGEST: &str = "sha256:";

impl Principal {
    /// The attribute that the workflows of this principal have, for lists
    /// ([`Filter::attribute`](stepwell_core::store::Filter::attribute)).
    ///
    /// ```
    /// use stepwell::{axum::Principal, store::Filter};
    ///
    /// # async fn of(app: stepwell::App) -> Result<(), stepwell::Error> {
    /// let ann = Principal("ann".to_owned());
    /// let filter = Filter { attribute: Some(ann.attribute()), ..Filter::default() };
    /// let hers = app.client().list(filter).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn attribute(&self) -> (String, String) {
        (PRINCIPAL_ATTRIBUTE.to_owned(), self.kept().into_owned())
    }

    /// The name as a row keeps it: as it is, or its digest if an attribute cannot hold it. A name that
    /// looks like a digest is kept as one, so that it is never taken for another's.
    pub(crate) fn kept(&self) -> Cow<'_, str> {
        let Self(name) = self;
        let fits = Text::AttributeValue.check(name).is_ok();
        if fits && !name.starts_with(DIGEST) {
            return Cow::Borrowed(name);
        }
        Cow::Owned(format!("{DIGEST}{}", hex::encode(Sha256::digest(name))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(name: &str) -> String {
        Principal(name.to_owned()).kept().into_owned()
    }

    #[test]
    fn a_name_that_a_row_cannot_hold_is_kept_as_its_digest() {
        assert_eq!(kept("ann"), "ann");
        for name in ["", "a\nb", &"x".repeat(256)] {
            let digest = kept(name);
            assert!(digest.starts_with(DIGEST) && digest.len() == 71, "{digest}");
            assert_ne!(
                kept(&digest),
                digest,
                "a name is never another one's digest"
            );
        }
    }
}
