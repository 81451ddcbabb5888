//! What stands in the parentheses of an attribute: `#[workflow(name = "…", schedule = "…")]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{
    Error, Expr, ExprLit, Ident, Lit, LitStr, Meta, MetaNameValue, Token, ext::IdentExt,
    parse::Parser, punctuated::Punctuated,
};

use crate::{cron, isolation, kind::Kind};

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
    isolation: Option<LitStr>,
    read_only: bool,
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

    /// The `TxOptions` of a transaction.
    pub(crate) fn tx_options(&self) -> TokenStream {
        let isolation = match &self.isolation {
            None => quote!(::core::option::Option::None),
            Some(level) => {
                let variant = isolation::variant(level);
                quote!(::core::option::Option::Some(::stepwell::Isolation::#variant))
            }
        };
        let read_only = self.read_only;
        quote!(::stepwell::TxOptions { isolation: #isolation, read_only: #read_only })
    }

    fn set(&mut self, kind: Kind, meta: &Meta) -> syn::Result<()> {
        let option = match meta.path().get_ident() {
            Some(ident) => ident.to_string(),
            None => String::new(),
        };
        let of_workflow = kind == Kind::Workflow;
        let of_transaction = kind == Kind::Transaction;
        match option.as_str() {
            "name" => once(&mut self.name, meta, checked_name(meta)?),
            "schedule" if of_workflow => once(&mut self.schedule, meta, checked_schedule(meta)?),
            "timezone" if of_workflow => once(&mut self.timezone, meta, checked_timezone(meta)?),
            "missed" if of_workflow => once(&mut self.missed, meta, checked_missed(meta)?),
            "allow_nondeterminism" if of_workflow => {
                flag(&mut self.allow_nondeterminism, meta, &option)
            }
            "isolation" if of_transaction => once(
                &mut self.isolation,
                meta,
                isolation::checked(&string(meta)?)?,
            ),
            "read_only" if of_transaction => flag(&mut self.read_only, meta, &option),
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

fn flag(slot: &mut bool, meta: &Meta, option: &str) -> syn::Result<()> {
    let Meta::Path(_) = meta else {
        let message = format!("`{option}` takes no value");
        return Err(Error::new_spanned(meta, message));
    };
    *slot = true;
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
        "isolation" | "read_only" => "\nhelp: this is an option of `#[transaction]`",
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
mod tests;
