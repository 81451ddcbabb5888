//! What stands in the parentheses of an attribute: `#[workflow(name = "…", schedule = "…")]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{
    Error, Expr, ExprLit, Ident, Lit, LitStr, Meta, MetaNameValue, Token, ext::IdentExt,
    parse::Parser, punctuated::Punctuated,
};

use crate::{cron, kind::Kind};

/// The most bytes that a name may have: the store's bound for names.
const NAME_BYTES: usize = 255;

/// The options of one attribute.
#[derive(Debug, Default)]
pub(crate) struct Options {
    name: Option<LitStr>,
    schedule: Option<LitStr>,
    timezone: Option<LitStr>,
    missed: Option<LitStr>,
    allow_nondeterminism: bool,
}

impl Options {
    /// Reads the options of a `kind`.
    ///
    /// The options that are right come back next to the errors, so that one wrong option does not
    /// make the function unknown to the code that calls it.
    pub(crate) fn parse(kind: Kind, attribute: TokenStream) -> (Self, Option<Error>) {
        let mut options = Self::default();
        let metas = match Punctuated::<Meta, Token![,]>::parse_terminated.parse2(attribute) {
            Ok(metas) => metas,
            Err(error) => return (options, Some(Error::new(error.span(), expected(kind)))),
        };
        let mut refused = metas
            .iter()
            .filter_map(|meta| options.set(kind, meta).err())
            .collect::<Vec<_>>();
        // A schedule that was refused is complaint enough.
        if options.schedule.is_none() && refused.is_empty() {
            refused.extend(options.without_a_schedule());
        }
        (options, refused.into_iter().reduce(combined))
    }

    /// The options that mean nothing without a schedule.
    fn without_a_schedule(&self) -> impl Iterator<Item = Error> {
        let lone = [("timezone", &self.timezone), ("missed", &self.missed)];
        lone.into_iter().filter_map(|(option, value)| {
            let message = format!("`{option}` belongs to a `schedule`, and there is none");
            Some(Error::new_spanned(value.as_ref()?, message))
        })
    }

    /// The name under which the function is recorded.
    pub(crate) fn name(&self, function: &Ident) -> LitStr {
        match &self.name {
            Some(name) => name.clone(),
            None => LitStr::new(&function.unraw().to_string(), function.span()),
        }
    }

    /// The schedule, if there is one.
    pub(crate) fn schedule(&self) -> Option<&LitStr> {
        self.schedule.as_ref()
    }

    /// Whether the body is exempt from the determinism lint.
    pub(crate) fn allows_nondeterminism(&self) -> bool {
        self.allow_nondeterminism
    }

    /// The value of `Workflow::SCHEDULE`.
    pub(crate) fn schedule_value(&self) -> TokenStream {
        let Some(schedule) = &self.schedule else {
            return quote!(::core::option::Option::None);
        };
        let timezone = self.timezone.iter();
        let missed = self.missed.iter().map(missed_variant);
        quote! {
            ::core::option::Option::Some(
                ::stepwell::Schedule::cron(#schedule)
                    #(.timezone(#timezone))*
                    #(.missed(::stepwell::Missed::#missed))*
            )
        }
    }

    fn set(&mut self, kind: Kind, meta: &Meta) -> syn::Result<()> {
        let option = match meta.path().get_ident() {
            Some(ident) => ident.to_string(),
            None => String::new(),
        };
        let of_workflow = kind == Kind::Workflow;
        match option.as_str() {
            "name" => once(&mut self.name, meta, checked_name(meta)?),
            "schedule" if of_workflow => once(&mut self.schedule, meta, checked_schedule(meta)?),
            "timezone" if of_workflow => once(&mut self.timezone, meta, checked_timezone(meta)?),
            "missed" if of_workflow => once(&mut self.missed, meta, checked_missed(meta)?),
            "allow_nondeterminism" if of_workflow => match meta {
                Meta::Path(_) => {
                    self.allow_nondeterminism = true;
                    Ok(())
                }
                _ => Err(Error::new_spanned(
                    meta,
                    "`allow_nondeterminism` takes no value",
                )),
            },
            _ => Err(unknown(kind, meta, &option)),
        }
    }
}

fn combined(mut first: Error, second: Error) -> Error {
    first.combine(second);
    first
}

fn once(slot: &mut Option<LitStr>, meta: &Meta, value: LitStr) -> syn::Result<()> {
    if slot.replace(value).is_some() {
        return Err(Error::new_spanned(meta, "this option is given twice"));
    }
    Ok(())
}

fn expected(kind: Kind) -> String {
    format!("{} takes the options {}", tick(kind), kind.options())
}

fn tick(kind: Kind) -> String {
    format!("`{}`", kind.attribute())
}

fn unknown(kind: Kind, meta: &Meta, option: &str) -> Error {
    let help = match option {
        "schedule" | "timezone" | "missed" => {
            "\nhelp: a schedule starts a workflow, which runs this"
        }
        "retry" | "retries" | "attempts" | "timeout" if kind != Kind::Workflow => {
            "\nhelp: this is said where it is run: `ctx.run(charge(…).retry(Retry::times(5)))`"
        }
        "queue" | "id" | "deadline" | "delay" if kind == Kind::Workflow => {
            "\nhelp: this is said where it is started: `app.start(checkout().queue(&ORDERS))`"
        }
        _ => "",
    };
    let path = meta.path().to_token_stream().to_string().replace(' ', "");
    let message = format!(
        "`{path}` is not an option of {}, which takes {}{help}",
        tick(kind),
        kind.options()
    );
    Error::new_spanned(meta, message)
}

/// The string of `option = "…"`.
fn string(meta: &Meta) -> syn::Result<LitStr> {
    if let Meta::NameValue(MetaNameValue { value, .. }) = meta
        && let Expr::Lit(ExprLit {
            lit: Lit::Str(string),
            ..
        }) = value
    {
        return Ok(string.clone());
    }
    let option = meta.path().to_token_stream();
    Err(Error::new_spanned(
        meta,
        format!("`{option}` takes a string literal: `{option} = \"…\"`"),
    ))
}

fn checked_name(meta: &Meta) -> syn::Result<LitStr> {
    let literal = string(meta)?;
    let name = literal.value();
    let trouble = if name.is_empty() {
        "a name has at least one byte".to_owned()
    } else if name.len() > NAME_BYTES {
        format!(
            "a name has at most {NAME_BYTES} bytes, and this one has {}",
            name.len()
        )
    } else if name.chars().any(char::is_control) {
        "a name has no control characters".to_owned()
    } else {
        return Ok(literal);
    };
    Err(Error::new_spanned(literal, trouble))
}

fn checked_schedule(meta: &Meta) -> syn::Result<LitStr> {
    let literal = string(meta)?;
    match cron::check(&literal.value()) {
        Ok(()) => Ok(literal),
        Err(message) => Err(Error::new_spanned(literal, message)),
    }
}

/// Looks at the shape only: which zones there are is known where the workflow runs.
fn checked_timezone(meta: &Meta) -> syn::Result<LitStr> {
    let literal = string(meta)?;
    let zone = literal.value();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+');
    if zone.is_empty() || !zone.chars().all(allowed) {
        let message = format!(
            "`{zone}` is not the name of a time zone: write one of the IANA database, such as `Europe/Berlin`"
        );
        return Err(Error::new_spanned(literal, message));
    }
    Ok(literal)
}

/// What may become of ticks that were missed: the word, and the variant of `stepwell::Missed`.
const MISSED: [(&str, &str); 3] = [("skip", "Skip"), ("latest", "Latest"), ("all", "All")];

fn checked_missed(meta: &Meta) -> syn::Result<LitStr> {
    let literal = string(meta)?;
    let word = literal.value();
    if MISSED.iter().any(|(known, _)| *known == word) {
        return Ok(literal);
    }
    let message =
        format!("`{word}` says nothing about missed ticks: write \"skip\", \"latest\" or \"all\"");
    Err(Error::new_spanned(literal, message))
}

fn missed_variant(literal: &LitStr) -> Ident {
    let word = literal.value();
    let known = MISSED.iter().find(|(known, _)| *known == word);
    Ident::new(
        known.map_or("Latest", |(_, variant)| variant),
        literal.span(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(kind: Kind, attribute: TokenStream, expected: &str) {
        let (_, error) = Options::parse(kind, attribute);
        let text = error.expect("the options are wrong").to_string();
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn right_options_are_kept() {
        let (options, error) = Options::parse(
            Kind::Workflow,
            quote!(
                name = "pay",
                schedule = "0 9 * * MON",
                timezone = "Europe/Berlin",
                allow_nondeterminism
            ),
        );
        assert!(error.is_none());
        assert!(options.allows_nondeterminism());
        let function = Ident::new("other", proc_macro2::Span::call_site());
        assert_eq!(options.name(&function).value(), "pay");
        let schedule = options.schedule_value().to_string();
        assert!(schedule.contains("cron (\"0 9 * * MON\") . timezone (\"Europe/Berlin\")"));
    }

    #[test]
    fn a_raw_name_loses_its_prefix() {
        let name = Options::default().name(&Ident::new_raw("type", proc_macro2::Span::call_site()));
        assert_eq!(name.value(), "type");
    }

    #[test]
    fn an_option_that_does_not_apply_names_those_that_do() {
        let takes = "`schedule` is not an option of `#[step]`, which takes `name = \"…\"`";
        refused(Kind::Step, quote!(schedule = "* * * * *"), takes);
        refused(Kind::Step, quote!(retries = 3), "where it is run");
        refused(Kind::Workflow, quote!(queue = "q"), "where it is started");
        refused(
            Kind::Transaction,
            quote!(a::b),
            "`a::b` is not an option of `#[transaction]`",
        );
        refused(
            Kind::Workflow,
            quote!("pay"),
            "`#[workflow]` takes the options",
        );
    }

    #[test]
    fn values_are_checked() {
        refused(Kind::Step, quote!(name), "takes a string literal");
        refused(Kind::Step, quote!(name = 1), "takes a string literal");
        refused(Kind::Step, quote!(name = ""), "at least one byte");
        refused(
            Kind::Step,
            quote!(name = "a\nb"),
            "has no control characters",
        );
        let long = "x".repeat(256);
        refused(Kind::Step, quote!(name = #long), "and this one has 256");
        refused(Kind::Step, quote!(name = "a", name = "b"), "is given twice");
        refused(Kind::Workflow, quote!(timezone = "UTC"), "there is none");
        refused(Kind::Workflow, quote!(missed = "all"), "there is none");
        refused(
            Kind::Workflow,
            quote!(schedule = "* * * * *", missed = "sometimes"),
            "`sometimes` says nothing about missed ticks",
        );
        refused(
            Kind::Workflow,
            quote!(schedule = "* * * * *", timezone = "my zone"),
            "`my zone` is not the name of a time zone",
        );
        refused(
            Kind::Workflow,
            quote!(allow_nondeterminism = true),
            "takes no value",
        );
    }
}
