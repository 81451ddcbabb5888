//! The rules that the signatures of workflows, steps and transactions share.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Error, FnArg, GenericParam, Ident, ItemFn, ReturnType, Signature, Type, TypeImplTrait,
    visit::Visit,
};

use crate::kind::Kind;

/// Types of the standard library that are certainly no `Result`.
const NO_RESULT: [&str; 19] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32",
    "u64", "u128", "usize", "String", "Option", "Vec",
];

/// Refuses a function that cannot be a `kind` and says what to do instead.
pub(crate) fn check(kind: Kind, signature: &Signature) -> syn::Result<()> {
    check_qualifiers(kind, signature)?;
    check_generics(kind, signature)?;
    for input in &signature.inputs {
        if let FnArg::Receiver(receiver) = input {
            let message = format!(
                "{} is a free function: move it out of the `impl` and put shared objects into the \
                 state: `{}`",
                kind.noun(),
                kind.example()
            );
            return Err(Error::new_spanned(receiver, message));
        }
    }
    let mut opaque = Opaque(Vec::new());
    opaque.visit_signature(signature);
    if let Some(found) = opaque.0.first() {
        let message = format!(
            "{} is recorded with the types of its arguments and its result: name the type here, \
             `impl Trait` does not",
            kind.noun()
        );
        return Err(Error::new_spanned(found, message));
    }
    Ok(())
}

fn check_qualifiers(kind: Kind, signature: &Signature) -> syn::Result<()> {
    let noun = kind.noun();
    if let Some(token) = &signature.constness {
        let message = format!("{noun} runs in the engine, never in a constant: remove `const`");
        return Err(Error::new_spanned(token, message));
    }
    if let Some(token) = &signature.unsafety {
        let message = format!(
            "{noun} is run by the engine, which cannot keep an unsafe contract: remove `unsafe` \
             and use an `unsafe` block in the body"
        );
        return Err(Error::new_spanned(token, message));
    }
    if let Some(token) = &signature.abi {
        let message = format!("{noun} is called by the engine, in Rust: remove `extern`");
        return Err(Error::new_spanned(token, message));
    }
    if signature.asyncness.is_none() {
        let message = format!(
            "{noun} is an `async fn`: write `async fn {}(…)`",
            signature.ident
        );
        return Err(Error::new_spanned(signature.fn_token, message));
    }
    Ok(())
}

fn check_generics(kind: Kind, signature: &Signature) -> syn::Result<()> {
    let noun = kind.noun();
    let generics = &signature.generics;
    let lifetimes_only = generics
        .params
        .iter()
        .all(|param| matches!(param, GenericParam::Lifetime(_)));
    if !generics.params.is_empty() && lifetimes_only {
        let message = format!(
            "{noun} has no lifetime parameters: leave them out, `&T` is enough where a reference \
             is allowed"
        );
        return Err(Error::new_spanned(&generics.params, message));
    }
    if !generics.params.is_empty() {
        let message = format!(
            "{noun} has one name and one type to be recorded with, so it cannot be generic: write \
             one for each type, and let them share a generic helper function"
        );
        return Err(Error::new_spanned(&generics.params, message));
    }
    match &generics.where_clause {
        Some(clause) => Err(Error::new_spanned(
            clause,
            format!("{noun} is not generic: remove the `where` clause"),
        )),
        None => Ok(()),
    }
}

/// Collects every `impl Trait`.
struct Opaque<'ast>(Vec<&'ast TypeImplTrait>);

impl<'ast> Visit<'ast> for Opaque<'ast> {
    fn visit_type_impl_trait(&mut self, found: &'ast TypeImplTrait) {
        self.0.push(found);
    }
}

/// What a function returns.
pub(crate) struct Returned<'a>(&'a Type);

impl<'a> Returned<'a> {
    /// Reads the return type; refuses what is certainly no `Result`.
    pub(crate) fn parse(kind: Kind, signature: &'a Signature) -> syn::Result<Self> {
        let ReturnType::Type(_, whole) = &signature.output else {
            let message = format!(
                "{} returns a `Result`: add `-> stepwell::Result<()>` or `-> Result<(), YourError>`",
                kind.noun()
            );
            return Err(Error::new_spanned(&signature.ident, message));
        };
        if is_no_result(whole) {
            let found = compact(whole);
            let message = format!(
                "{} returns a `Result`: write `-> stepwell::Result<{found}>` or \
                 `-> Result<{found}, YourError>`",
                kind.noun()
            );
            return Err(Error::new_spanned(whole, message));
        }
        Ok(Self(whole))
    }

    /// The associated types `Output` and `Error` of the function's trait.
    pub(crate) fn associated_types(&self) -> TokenStream {
        let result = quote!(::stepwell::__private::ResultLike);
        let output = associated_type("Output", self.0, &result, "Ok");
        let error = associated_type("Error", self.0, &result, "Err");
        quote!(#output #error)
    }

    /// `Self::Output` and `Self::Error`.
    pub(crate) fn members(&self) -> (TokenStream, TokenStream) {
        (member("Output", self.0), member("Error", self.0))
    }
}

/// `type name = <written as of>::member;`
///
/// What is wrong with it is reported where `written` stands. `Output` and `Error` share that place,
/// because the compiler says the same thing about the same place only once.
pub(crate) fn associated_type(
    name: &str,
    written: &Type,
    of: &TokenStream,
    member: &str,
) -> TokenStream {
    let (start, end) = ends(written);
    let (name, member) = (Ident::new(name, Span::call_site()), Ident::new(member, end));
    let open = quote_spanned!(start=> <);
    let close = quote_spanned!(end=> >::#member);
    quote!(type #name = #open #written as #of #close;)
}

/// `Self::name`, reported where `written` stands.
pub(crate) fn member(name: &str, written: &Type) -> TokenStream {
    let (start, end) = ends(written);
    let (this, name) = (Ident::new("Self", start), Ident::new(name, end));
    quote!(#this::#name)
}

/// The spans of the first and the last token.
fn ends(tokens: &Type) -> (Span, Span) {
    let mut spans = tokens.to_token_stream().into_iter().map(|tree| tree.span());
    let start = spans.next().unwrap_or_else(Span::call_site);
    (start, spans.last().unwrap_or(start))
}

fn is_no_result(returned: &Type) -> bool {
    match returned {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| NO_RESULT.iter().any(|name| last.ident == name)),
        Type::Tuple(_) | Type::Reference(_) | Type::Array(_) | Type::Slice(_) | Type::Never(_) => {
            true
        }
        _ => false,
    }
}

/// The source text of a type, near enough for a message.
pub(crate) fn compact(tokens: &dyn ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (spaced, tight) in [
        (" :: ", "::"),
        (" < ", "<"),
        (" > ", ">"),
        (" >", ">"),
        (" ,", ","),
        ("& ", "&"),
    ] {
        text = text.replace(spaced, tight);
    }
    text
}

/// What is left of a function that was refused: itself, so that its body is still checked.
///
/// The attributes of its parameters go, because only these macros know them.
pub(crate) fn unexpanded(mut function: ItemFn) -> TokenStream {
    for input in &mut function.sig.inputs {
        if let FnArg::Typed(parameter) = input {
            parameter.attrs.retain(|attribute| {
                !["state", "attempt"]
                    .iter()
                    .any(|n| attribute.path().is_ident(n))
            });
        }
    }
    function.into_token_stream()
}
