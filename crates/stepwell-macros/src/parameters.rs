//! The parameters of a step or a transaction: what is injected, what becomes the call's.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{
    Attribute, Error, FnArg, GenericArgument, Ident, Lifetime, Pat, PatType, PathArguments,
    Signature, Type, TypeReference,
};

use crate::kind::Kind;

/// The parameters, taken apart.
pub(crate) struct Parameters {
    /// The types that the state must provide.
    pub(crate) provided: Vec<Type>,
    /// The parameters of the function that makes a call.
    pub(crate) declared: Vec<TokenStream>,
    /// The statements that copy the owned arguments for one attempt.
    pub(crate) copies: TokenStream,
    /// The arguments of the body, in its order, without the transaction.
    pub(crate) passed: Vec<TokenStream>,
    /// The signature of the body, without `#[state]` and `#[attempt]`.
    pub(crate) body: Signature,
}

/// The variables of the generated closure. No name in the user's signature can meet them.
pub(crate) struct Variables {
    pub(crate) state: Ident,
    pub(crate) attempt: Ident,
}

impl Variables {
    pub(crate) fn new() -> Self {
        Self {
            state: Ident::new("state", Span::mixed_site()),
            attempt: Ident::new("attempt", Span::mixed_site()),
        }
    }
}

impl Parameters {
    /// Takes the parameters apart, from the one with the index `first`.
    pub(crate) fn parse(
        kind: Kind,
        signature: &Signature,
        first: usize,
        variables: &Variables,
    ) -> syn::Result<Self> {
        let mut body = signature.clone();
        body.ident = Ident::new(kind.body(), signature.ident.span());
        let mut sorted = Sorted::default();
        for (index, input) in body.inputs.iter_mut().enumerate() {
            let FnArg::Typed(parameter) = input else {
                continue;
            };
            if index < first {
                continue;
            }
            sorted.add(kind, index, parameter, variables)?;
            parameter
                .attrs
                .retain(|a| !a.path().is_ident("state") && !a.path().is_ident("attempt"));
        }
        Ok(Self {
            provided: sorted.provided,
            declared: sorted.declared,
            copies: copies(&sorted.owned),
            passed: sorted.passed,
            body,
        })
    }
}

#[derive(Default)]
struct Sorted {
    provided: Vec<Type>,
    declared: Vec<TokenStream>,
    owned: Vec<(Ident, Type)>,
    passed: Vec<TokenStream>,
}

impl Sorted {
    fn add(
        &mut self,
        kind: Kind,
        index: usize,
        parameter: &PatType,
        variables: &Variables,
    ) -> syn::Result<()> {
        if has_marker(parameter, "state").is_some() {
            let (state, provided) = (&variables.state, shared(parameter, STATE)?);
            self.passed
                .push(quote!(::stepwell::Provide::<#provided>::provide(&*#state)));
            self.provided.push(provided.clone());
        } else if let Some(marker) = has_marker(parameter, "attempt") {
            if kind == Kind::Transaction {
                return Err(Error::new_spanned(marker, NO_ATTEMPT));
            }
            shared(parameter, ATTEMPT)?;
            let attempt = &variables.attempt;
            self.passed.push(quote!(&#attempt));
        } else {
            refuse_mutable(kind, &parameter.ty)?;
            let name = name_of(parameter, index);
            let mut declared = (*parameter.ty).clone();
            name_lifetimes(&mut declared);
            self.declared.push(quote!(#name: #declared));
            self.passed.push(quote!(#name));
            if !matches!(declared, Type::Reference(_)) {
                self.owned.push((name, declared));
            }
        }
        Ok(())
    }
}

const STATE: &str = "a `#[state]` parameter is a shared reference: `#[state] gateway: &Gateway`";
const ATTEMPT: &str =
    "an `#[attempt]` parameter is a shared reference: `#[attempt] attempt: &Attempt`";
const NO_ATTEMPT: &str = "a transaction has no attempts: it happens exactly once, and a conflict \
    with another one runs it again; `#[attempt]` is for a parameter of a step";

/// The `T` of a marked parameter `x: &T`.
fn shared<'a>(parameter: &'a PatType, expected: &str) -> syn::Result<&'a Type> {
    match &*parameter.ty {
        Type::Reference(TypeReference {
            mutability: None,
            elem,
            ..
        }) => Ok(elem),
        other => Err(Error::new_spanned(other, expected)),
    }
}

fn refuse_mutable(kind: Kind, parameter: &Type) -> syn::Result<()> {
    let Type::Reference(reference) = parameter else {
        return Ok(());
    };
    if reference.mutability.is_none() {
        return Ok(());
    }
    let last = match &*reference.elem {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        _ => None,
    };
    let help = match last.as_deref() {
        Some("Ctx") => {
            "\nhelp: a step is one checkpoint; to run several operations make this a `#[workflow]`, \
             or a helper function without an attribute"
        }
        Some(name) if name.ends_with("Tx") && kind == Kind::Step => {
            "\nhelp: to change a database make this a `#[transaction]`"
        }
        _ => "\nhelp: take a value, or return what has changed",
    };
    let message = format!(
        "{} may run again after a crash or a retry: it cannot take `&mut`{help}",
        kind.noun()
    );
    Err(Error::new_spanned(parameter, message))
}

/// Each attempt gets its own copy of what it would use up.
fn copies(owned: &[(Ident, Type)]) -> TokenStream {
    if owned.is_empty() {
        return TokenStream::new();
    }
    let copies = owned
        .iter()
        .map(|(name, declared)| quote!(let #name = cloned_for_each_attempt::<#declared>(&#name);));
    quote! {
        fn cloned_for_each_attempt<T: ::core::clone::Clone>(argument: &T) -> T {
            ::core::clone::Clone::clone(argument)
        }
        #(#copies)*
    }
}

/// Writes `'op` where the user left the lifetime of a reference out.
fn name_lifetimes(parameter: &mut Type) {
    let op = || Lifetime::new("'op", Span::call_site());
    match parameter {
        Type::Reference(reference) => {
            let anonymous = reference.lifetime.as_ref().is_none_or(|l| l.ident == "_");
            if anonymous {
                reference.lifetime = Some(op());
            }
            name_lifetimes(&mut reference.elem);
        }
        Type::Path(path) => {
            for segment in &mut path.path.segments {
                // Between `Fn(…)` parentheses an anonymous lifetime is the callee's.
                let PathArguments::AngleBracketed(arguments) = &mut segment.arguments else {
                    continue;
                };
                for argument in &mut arguments.args {
                    match argument {
                        GenericArgument::Type(inner) => name_lifetimes(inner),
                        GenericArgument::Lifetime(lifetime) if lifetime.ident == "_" => {
                            *lifetime = op();
                        }
                        _ => {}
                    }
                }
            }
        }
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(name_lifetimes),
        Type::Slice(slice) => name_lifetimes(&mut slice.elem),
        Type::Array(array) => name_lifetimes(&mut array.elem),
        Type::Paren(inner) => name_lifetimes(&mut inner.elem),
        Type::Group(inner) => name_lifetimes(&mut inner.elem),
        _ => {}
    }
}

/// The attribute `#[marker]` of a parameter.
pub(crate) fn has_marker<'a>(parameter: &'a PatType, marker: &str) -> Option<&'a Attribute> {
    parameter
        .attrs
        .iter()
        .find(|attribute| attribute.path().is_ident(marker))
}

/// The name of a parameter in the generated function; a pattern gets one by its place.
pub(crate) fn name_of(parameter: &PatType, index: usize) -> Ident {
    match &*parameter.pat {
        Pat::Ident(pattern) => pattern.ident.clone(),
        _ => format_ident!("arg{index}", span = Span::mixed_site()),
    }
}
