//! `#[transaction]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Error, FnArg, Ident, ItemFn, Signature, Type};

use crate::{
    attributes::Attributes,
    kind::Kind,
    options::Options,
    parameters::{Parameters, Variables, has_marker},
    signature::{self, Returned},
    step,
};

/// Expands the attribute on `function`; errors stand next to what could be generated.
pub(crate) fn expand(options: TokenStream, function: ItemFn) -> TokenStream {
    let (options, refused) = Options::parse(Kind::Transaction, options);
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
    let signature = &function.sig;
    signature::check(Kind::Transaction, signature)?;
    let connection = connection_type(signature)?;
    let returned = Returned::parse(Kind::Transaction, signature)?;
    let variables = Variables::new();
    let parameters = Parameters::parse(Kind::Transaction, signature, 1, &variables)?;
    let attributes = Attributes::sort(&function.attrs);
    let definition = step::definition(Kind::Transaction, &attributes, function, &parameters.body);
    let implementation = step::implementation(options, &attributes, function, &returned);
    let call = call(
        &attributes,
        function,
        (connection, &options.tx_options()),
        &parameters,
        &variables.state,
    );
    Ok(quote!(#definition #implementation #call))
}

/// The `X` of `tx: &mut X`.
fn connection_type(signature: &Signature) -> syn::Result<&Type> {
    const EXPECTED: &str = "the first parameter of a transaction is the transaction itself, by \
        mutable reference: `tx: &mut PgTx`";
    let Some(FnArg::Typed(parameter)) = signature.inputs.first() else {
        return Err(Error::new_spanned(&signature.ident, EXPECTED));
    };
    let marker = has_marker(parameter, "state").or_else(|| has_marker(parameter, "attempt"));
    if let Some(marker) = marker {
        return Err(Error::new_spanned(marker, EXPECTED));
    }
    match &*parameter.ty {
        Type::Reference(reference) if reference.mutability.is_some() => Ok(&reference.elem),
        other => Err(Error::new_spanned(other, EXPECTED)),
    }
}

/// The function that makes a call.
fn call(
    attributes: &Attributes,
    function: &ItemFn,
    (connection, options): (&Type, &TokenStream),
    parameters: &Parameters,
    state: &Ident,
) -> TokenStream {
    let (vis, name) = (&function.vis, &function.sig.ident);
    let Parameters {
        provided,
        declared,
        copies,
        passed,
        ..
    } = parameters;
    let of_call = attributes.of_call();
    let tx = Ident::new("tx", Span::mixed_site());
    // A future that cannot be sent is reported at the transaction's name.
    let run = step::boxed(
        name.span(),
        &quote!(#name::plain(&mut #tx #(, #passed)*).await),
    );
    quote! {
        #of_call
        #[allow(
            clippy::too_many_arguments,
            unused_variables,
            reason = "a transaction need not look at the state"
        )]
        #vis fn #name<'op, S>(#(#declared),*) -> ::stepwell::TxCall<'op, S, #connection, #name>
        where
            S: ::core::marker::Send + ::core::marker::Sync + 'static
                + ::stepwell::Provide<<#connection as ::stepwell::Tx>::Source>
                #(+ ::stepwell::Provide<#provided>)*,
        {
            ::stepwell::TxCall::new(
                #options,
                move |#state: ::std::sync::Arc<S>, mut #tx: #connection| {
                    #copies
                    #run
                },
            )
        }
    }
}
