//! The lint on a workflow's body: what would come out differently when the workflow is recovered.
//!
//! It reads names, so it catches the usual slips and not every possible one. What runs inside a
//! step is recorded and therefore free.

use proc_macro2::TokenStream;
use syn::{
    Error, Expr, ExprCall, ExprClosure, ExprMethodCall, ExprPath, Ident, Item, ItemFn, Macro, Pat,
    PatIdent, Path, Token,
    punctuated::Punctuated,
    visit::{self, Visit},
};

use crate::{rules, select::Select, workflow};

/// Functions and methods whose closure is recorded as one checkpoint.
const CHECKPOINTS: [&str; 4] = ["step", "step_attempt", "typed_step", "tx"];

/// The errors about the body of a workflow.
pub(crate) fn check(function: &ItemFn, allow_nondeterminism: bool) -> Vec<TokenStream> {
    let mut lint = Lint {
        context: workflow::context_name(&function.sig),
        allow_nondeterminism,
        found: Vec::new(),
    };
    lint.visit_block(&function.block);
    lint.found.iter().map(Error::to_compile_error).collect()
}

struct Lint {
    context: Option<Ident>,
    allow_nondeterminism: bool,
    found: Vec<Error>,
}

impl Lint {
    fn refuse(&mut self, at: &Path, message: String) {
        if !self.allow_nondeterminism {
            self.found.push(Error::new_spanned(at, message));
        }
    }

    /// Visits the arguments of a call; those that are recorded may do what they want.
    fn visit_arguments(&mut self, callee: &str, arguments: &Punctuated<Expr, Token![,]>) {
        for argument in arguments {
            match argument {
                Expr::Closure(closure) if CHECKPOINTS.contains(&callee) => {
                    self.check_checkpoint(closure);
                }
                _ => self.visit_expr(argument),
            }
        }
    }

    /// Refuses the workflow's context in the closure of a step.
    fn check_checkpoint(&mut self, closure: &ExprClosure) {
        let Some(context) = &self.context else { return };
        let mut uses = Uses {
            name: context,
            first: None,
        };
        uses.visit_expr_closure(closure);
        if let Some(at) = uses.first {
            let message = format!(
                "a step cannot use the workflow's context `{context}`: a step is one checkpoint\n\
                 help: run the operations one after the other in the workflow, or make this a \
                 child `#[workflow]`; for shared objects bind `let state = {context}.state();` \
                 before the step"
            );
            self.found.push(Error::new_spanned(at, message));
        }
    }
}

impl<'ast> Visit<'ast> for Lint {
    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        self.visit_expr(&call.receiver);
        self.visit_arguments(&call.method.to_string(), &call.args);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        self.visit_expr(&call.func);
        let callee = match &*call.func {
            Expr::Path(function) => function.path.segments.last(),
            _ => None,
        };
        let callee = callee
            .map(|last| last.ident.to_string())
            .unwrap_or_default();
        self.visit_arguments(&callee, &call.args);
    }

    fn visit_expr_path(&mut self, expression: &'ast ExprPath) {
        let path = text(&expression.path);
        if let Some(message) = rules::about_path(&path) {
            self.refuse(&expression.path, message);
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        let path = text(&call.path);
        if let Some(message) = rules::about_macro(&path) {
            self.refuse(&call.path, message);
            return;
        }
        with_expressions(call, |expression| self.visit_expr(expression));
    }

    // A function inside the body is no part of it: a step may be what calls it.
    fn visit_item(&mut self, _: &'ast Item) {}
}

/// The first place where a name is used.
struct Uses<'a> {
    name: &'a Ident,
    first: Option<ExprPath>,
}

impl<'ast> Visit<'ast> for Uses<'_> {
    fn visit_expr_path(&mut self, expression: &'ast ExprPath) {
        if expression.path.is_ident(self.name) {
            self.first.get_or_insert_with(|| expression.clone());
        }
    }

    fn visit_expr_closure(&mut self, closure: &'ast ExprClosure) {
        let mut shadows = Shadows {
            name: self.name,
            found: false,
        };
        closure
            .inputs
            .iter()
            .for_each(|input| shadows.visit_pat(input));
        if !shadows.found {
            visit::visit_expr_closure(self, closure);
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        with_expressions(call, |expression| self.visit_expr(expression));
    }
}

/// Whether a pattern binds a name again.
struct Shadows<'a> {
    name: &'a Ident,
    found: bool,
}

impl<'ast> Visit<'ast> for Shadows<'_> {
    fn visit_pat(&mut self, pattern: &'ast Pat) {
        if let Pat::Ident(PatIdent { ident, .. }) = pattern {
            self.found |= ident == self.name;
        }
        visit::visit_pat(self, pattern);
    }
}

/// Calls `visit` with the expressions in a macro call, if it is made of expressions.
fn with_expressions(call: &Macro, mut visit: impl FnMut(&Expr)) {
    if let Ok(select) = call.parse_body::<Select>() {
        for arm in &select.arms {
            visit(&arm.operation);
            visit(&arm.body);
        }
    } else if let Ok(expressions) =
        call.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated)
    {
        expressions.iter().for_each(visit);
    }
}

/// A path without its generic arguments: `a::b::c`.
fn text(path: &Path) -> String {
    let segments = path.segments.iter();
    let names: Vec<String> = segments.map(|segment| segment.ident.to_string()).collect();
    names.join("::")
}
