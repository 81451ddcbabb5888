//! `#[step]`, and what transactions share with it.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, ItemFn, Signature};

use crate::{
    attributes::Attributes,
    kind::Kind,
    options::Options,
    parameters::{Parameters, Variables},
    signature::{self, Returned},
};

/// Expands the attribute on `function`; errors stand next to what could be generated.
pub(crate) fn expand(options: TokenStream, function: ItemFn) -> TokenStream {
    let (options, refused) = Options::parse(Kind::Step, options);
    let refused = refused.map(Error::into_compile_error);
    match items(&options, &function) {
        Ok(items) => quote!(#refused #items),
        Err(error) => {
            let error = error.into_compile_error();
            let function = signature::unexpanded(function);
            quote!(#refused #error #function)
        }
    }
}

fn items(options: &Options, function: &ItemFn) -> syn::Result<TokenStream> {
    signature::check(Kind::Step, &function.sig)?;
    let returned = Returned::parse(Kind::Step, &function.sig)?;
    let variables = Variables::new();
    let parameters = Parameters::parse(Kind::Step, &function.sig, 0, &variables)?;
    let attributes = Attributes::sort(&function.attrs);
    let definition = definition(Kind::Step, &attributes, function, &parameters.body);
    let implementation = implementation(options, &attributes, function, &returned);
    let call = call(&attributes, function, &parameters, &variables);
    Ok(quote!(#definition #implementation #call))
}

/// The type, with the body as the user wrote it.
pub(crate) fn definition(
    kind: Kind,
    attributes: &Attributes,
    function: &ItemFn,
    body: &Signature,
) -> TokenStream {
    let (vis, name, block) = (&function.vis, &function.sig.ident, &function.block);
    let of_type = attributes.of_type();
    let of_impl = attributes.of_impl();
    let of_body = attributes.of_body(kind);
    quote! {
        #of_type
        #vis struct #name {}

        #of_impl
        impl #name {
            #of_body
            #vis #body #block
        }
    }
}

/// The `impl Step`.
pub(crate) fn implementation(
    options: &Options,
    attributes: &Attributes,
    function: &ItemFn,
    returned: &Returned<'_>,
) -> TokenStream {
    let name = &function.sig.ident;
    let recorded = options.name(name);
    let outcome = returned.associated_types();
    let of_impl = attributes.of_impl();
    quote! {
        #of_impl
        #[automatically_derived]
        impl ::stepwell::Step for #name {
            const NAME: &'static str = #recorded;
            #outcome
        }
    }
}

/// The function that makes a call.
fn call(
    attributes: &Attributes,
    function: &ItemFn,
    parameters: &Parameters,
    variables: &Variables,
) -> TokenStream {
    let (vis, name) = (&function.vis, &function.sig.ident);
    let Parameters {
        provided,
        declared,
        copies,
        passed,
        ..
    } = parameters;
    let Variables { state, attempt } = variables;
    let of_call = attributes.of_call();
    // A future that cannot be sent is reported at the step's name.
    let run = boxed(name.span(), &quote!(#name::plain(#(#passed),*).await));
    quote! {
        #of_call
        #[allow(
            clippy::too_many_arguments,
            unused_variables,
            reason = "a step need not look at the state or the attempt"
        )]
        #vis fn #name<'op, S>(#(#declared),*) -> ::stepwell::StepCall<'op, S, #name>
        where
            S: ::core::marker::Send + ::core::marker::Sync + 'static
                #(+ ::stepwell::Provide<#provided>)*,
        {
            ::stepwell::StepCall::new(
                move |#state: ::std::sync::Arc<S>, #attempt: ::stepwell::Attempt| {
                    #copies
                    #run
                },
            )
        }
    }
}

/// `Box::pin(async move { body })`, reported at `span`.
pub(crate) fn boxed(span: Span, body: &TokenStream) -> TokenStream {
    quote_spanned!(span=> ::std::boxed::Box::pin(async move { #body }))
}
