//! `select!(ctx, pattern = operation => expression, …)`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{
    Error, Expr, Ident, Pat, Token,
    parse::{Parse, ParseStream},
};

/// The variants of `RaceN`, which has as many as it has members.
const VARIANTS: [&str; 8] = ["A", "B", "C", "D", "E", "F", "G", "H"];

const EXAMPLE: &str =
    "\nhelp: write `select!(ctx, answer = recv(ANSWER) => Some(answer), _ = sleep(HOUR) => None)`";

/// The input of the macro.
pub(crate) struct Select {
    context: Expr,
    pub(crate) arms: Vec<Arm>,
}

/// `pattern = operation => expression`.
pub(crate) struct Arm {
    pattern: Pat,
    pub(crate) operation: Expr,
    pub(crate) body: Expr,
}

impl Parse for Select {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let context = parse_context(input)?;
        let mut arms = Vec::new();
        while !input.is_empty() {
            let start = input.span();
            if arms.len() == VARIANTS.len() {
                let message = format!(
                    "`select!` takes at most {} arms; a `branch(async |mut ctx| …)` can hold a \
                     `select!` of its own{EXAMPLE}",
                    VARIANTS.len()
                );
                return Err(Error::new(start, message));
            }
            arms.push(input.parse::<Arm>()?);
        }
        if arms.len() < 2 {
            let message = format!(
                "`select!` takes at least 2 arms, and this one has {}; a single operation is run \
                 by itself: `ctx.recv(ANSWER).await`, or with `.timeout(HOUR)`{EXAMPLE}",
                arms.len()
            );
            return Err(Error::new(Span::call_site(), message));
        }
        Ok(Self { context, arms })
    }
}

fn parse_context(input: ParseStream<'_>) -> syn::Result<Expr> {
    let missing = |span| {
        let message = format!("the first argument of `select!` is the workflow's context{EXAMPLE}");
        Error::new(span, message)
    };
    let start = input.span();
    let context = input.parse::<Expr>().map_err(|_| missing(start))?;
    // Without a context the first arm is read as an assignment.
    if matches!(context, Expr::Assign(_)) || input.peek(Token![=>]) {
        return Err(missing(start));
    }
    if !input.is_empty() {
        let message = format!("expected `,` after the context{EXAMPLE}");
        let comma = input.parse::<Token![,]>();
        comma.map_err(|error| Error::new(error.span(), message))?;
    }
    Ok(context)
}

impl Parse for Arm {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let pattern = Pat::parse_multi_with_leading_vert(input)?;
        let between = "expected `=` between the pattern and the operation";
        // `=` would be found at the start of `=>`, too.
        if input.peek(Token![=>]) {
            return Err(Error::new(input.span(), format!("{between}{EXAMPLE}")));
        }
        expect::<Token![=]>(input, between)?;
        let operation = input.parse::<Expr>()?;
        expect::<Token![=>]>(input, "expected `=>` after the operation")?;
        // As in `match`: a block ends its arm, everything else wants a comma.
        let body = Expr::parse_with_earlier_boundary_rule(input)?;
        if input.peek(Token![,]) || !(input.is_empty() || is_block(&body)) {
            expect::<Token![,]>(input, "expected `,` between two arms")?;
        }
        Ok(Self {
            pattern,
            operation,
            body,
        })
    }
}

fn expect<T: Parse>(input: ParseStream<'_>, message: &str) -> syn::Result<()> {
    let span = input.span();
    match input.parse::<T>() {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::new(span, format!("{message}{EXAMPLE}"))),
    }
}

fn is_block(body: &Expr) -> bool {
    matches!(
        body,
        Expr::Block(_)
            | Expr::If(_)
            | Expr::Match(_)
            | Expr::Loop(_)
            | Expr::While(_)
            | Expr::ForLoop(_)
            | Expr::Unsafe(_)
    )
}

impl Select {
    /// A race, and a match on its winner.
    pub(crate) fn expand(&self) -> TokenStream {
        let context = receiver(&self.context);
        let race = format_ident!("Race{}", self.arms.len());
        let operations = self.arms.iter().map(|arm| &arm.operation);
        let value = Ident::new("value", Span::mixed_site());
        let arms = self.arms.iter().zip(VARIANTS).map(|(arm, variant)| {
            let variant = Ident::new(variant, Span::call_site());
            let (pattern, body) = (irrefutable(&arm.pattern), statements(&arm.body));
            // `let`, not a nested pattern: a pattern that can fail is then reported at itself.
            quote! {
                ::stepwell::#race::#variant(#value) => {
                    let #pattern = #value;
                    #body
                }
            }
        });
        quote! {
            match #context.race((#(#operations,)*)).await {
                #(#arms)*
            }
        }
    }
}

/// The context, in parentheses where `.race` would bind tighter.
fn receiver(context: &Expr) -> TokenStream {
    match context {
        Expr::Path(_) | Expr::Field(_) | Expr::MethodCall(_) | Expr::Call(_) | Expr::Paren(_) => {
            quote!(#context)
        }
        _ => quote!((#context)),
    }
}

/// The body without braces of its own: the arm has some, and two pairs are warned about.
fn statements(body: &Expr) -> TokenStream {
    match body {
        Expr::Block(block) if block.attrs.is_empty() && block.label.is_none() => {
            let statements = &block.block.stmts;
            quote!(#(#statements)*)
        }
        _ => quote!(#body),
    }
}

/// `let` takes alternatives in parentheses only.
fn irrefutable(pattern: &Pat) -> TokenStream {
    match pattern {
        Pat::Or(_) => quote!((#pattern)),
        _ => quote!(#pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(input: TokenStream, expected: &str) {
        let error = syn::parse2::<Select>(input).err();
        let text = error.expect("the input is wrong").to_string();
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("help: write `select!(ctx, "), "{text}");
    }

    #[test]
    fn two_to_eight_arms_become_a_race() {
        for arms in 2..=8 {
            let arm = std::iter::repeat_n(quote!(x = recv(T) => x), arms);
            let select: Select = syn::parse2(quote!(ctx, #(#arm),*)).expect("it is right");
            let expanded = select.expand().to_string();
            let last = format!(":: Race{arms} :: {}", VARIANTS[arms - 1]);
            assert!(expanded.contains(&last), "{expanded}");
        }
    }

    #[test]
    fn a_block_ends_its_arm() {
        let input = quote!(ctx, (a, b) = recv(T) => { a + b } _ = sleep(D) => 0,);
        assert_eq!(
            syn::parse2::<Select>(input)
                .expect("it is right")
                .arms
                .len(),
            2
        );
    }

    #[test]
    fn a_wrong_number_of_arms_is_refused() {
        refused(quote!(ctx), "at least 2 arms, and this one has 0");
        refused(quote!(ctx, x = recv(T) => x), "this one has 1");
        let nine = std::iter::repeat_n(quote!(x = recv(T) => x), 9);
        refused(quote!(ctx, #(#nine),*), "at most 8 arms");
    }

    #[test]
    fn missing_parts_are_named() {
        let context = "the first argument of `select!` is the workflow's context";
        refused(quote!(), context);
        refused(quote!(x = recv(T) => x, _ = sleep(D) => 0), context);
        refused(
            quote!(ctx x = recv(T) => x),
            "expected `,` after the context",
        );
        refused(
            quote!(ctx, x = recv(T), _ = sleep(D) => 0),
            "expected `=>` after the operation",
        );
        refused(quote!(ctx, recv(T) => x), "expected `=` between");
        refused(
            quote!(ctx, x = recv(T) => x _ = sleep(D) => 0),
            "expected `,` between two arms",
        );
    }
}
