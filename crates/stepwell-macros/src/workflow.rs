//! `#[workflow]`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{
    Error, FnArg, Ident, ItemFn, Pat, PatType, Signature, Type, TypeReference, spanned::Spanned,
    visit::Visit,
};

use crate::{
    attributes::Attributes,
    determinism,
    kind::Kind,
    options::Options,
    parameters::{has_marker, name_of},
    signature::{self, Returned},
};

/// Expands the attribute on `function`; errors stand next to what could be generated.
pub(crate) fn expand(options: TokenStream, function: ItemFn) -> TokenStream {
    let (options, refused) = Options::parse(Kind::Workflow, options);
    let refused = refused.map(Error::into_compile_error);
    match Workflow::parse(&options, &function) {
        Ok(workflow) => {
            let items = workflow.items();
            let lints = determinism::check(&function, options.allows_nondeterminism());
            quote!(#refused #(#lints)* #items)
        }
        Err(error) => {
            let error = error.into_compile_error();
            let function = signature::unexpanded(function);
            quote!(#refused #error #function)
        }
    }
}

struct Workflow<'a> {
    options: &'a Options,
    function: &'a ItemFn,
    attributes: Attributes,
    context: &'a Type,
    arguments: Vec<Ident>,
    types: Vec<&'a Type>,
    returned: Returned<'a>,
}

impl<'a> Workflow<'a> {
    fn parse(options: &'a Options, function: &'a ItemFn) -> syn::Result<Self> {
        let signature = &function.sig;
        signature::check(Kind::Workflow, signature)?;
        let context = context_type(signature)?;
        let mut arguments = Vec::new();
        let mut types = Vec::new();
        for (index, input) in signature.inputs.iter().enumerate() {
            let FnArg::Typed(parameter) = input else {
                continue;
            };
            refuse_markers(parameter)?;
            if index > 0 {
                check_owned(&parameter.ty)?;
                arguments.push(name_of(parameter, index));
                types.push(&*parameter.ty);
            }
        }
        check_schedule(options, signature, types.len())?;
        Ok(Self {
            options,
            function,
            attributes: Attributes::sort(&function.attrs),
            context,
            arguments,
            types,
            returned: Returned::parse(Kind::Workflow, signature)?,
        })
    }

    fn items(&self) -> TokenStream {
        let definition = self.definition();
        let implementation = self.implementation();
        let registration = self.registration();
        let call = self.call();
        quote!(#definition #implementation #registration #call)
    }

    /// The type, with the body as the user wrote it.
    fn definition(&self) -> TokenStream {
        let (vis, block) = (&self.function.vis, &self.function.block);
        let name = &self.function.sig.ident;
        let mut body = self.function.sig.clone();
        body.ident = Ident::new(Kind::Workflow.body(), name.span());
        let of_type = self.attributes.of_type();
        let of_impl = self.attributes.of_impl();
        let of_body = self.attributes.of_body(Kind::Workflow);
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

    fn implementation(&self) -> TokenStream {
        let (name, context) = (&self.function.sig.ident, self.context);
        let (arguments, types) = (&self.arguments, &self.types);
        let recorded = self.options.name(name);
        let schedule = self.options.schedule_value();
        let outcome = self.returned.associated_types();
        let of_impl = self.attributes.of_impl();
        let argument = quote!(::stepwell::__private::ContextArg);
        let state = signature::associated_type("State", context, &argument, "State");
        let own_state = signature::member("State", context);
        let (output, error) = self.returned.members();
        // Through `Stored`, so that a type that cannot be stored is reported in our words.
        let stored = types
            .iter()
            .map(|of| quote_spanned!(of.span()=> <#of as ::stepwell::__private::Stored>::Itself));
        // Located where the context stands, should it be of another type.
        let ctx = Ident::new("ctx", Span::mixed_site().located_at(context.span()));
        // A future that cannot be sent is reported at the workflow's name.
        let run = quote_spanned! {name.span()=>
            ::std::boxed::Box::pin(#name::body(#ctx #(, #arguments)*))
        };
        quote! {
            #of_impl
            #[automatically_derived]
            impl ::stepwell::Workflow for #name {
                const NAME: &'static str = #recorded;
                const SCHEDULE: ::core::option::Option<::stepwell::Schedule> = #schedule;
                #state
                type Args = (#(#stored,)*);
                #outcome
                fn run<'a>(
                    #ctx: &'a mut ::stepwell::Ctx<#own_state>,
                    (#(#arguments,)*): Self::Args,
                ) -> ::stepwell::__private::BoxFuture<
                    'a,
                    ::core::result::Result<#output, #error>,
                > {
                    #run
                }
            }
        }
    }

    fn registration(&self) -> TokenStream {
        let name = &self.function.sig.ident;
        let of_impl = self.attributes.of_impl();
        quote! {
            #of_impl
            ::stepwell::__private::inventory::submit! {
                ::stepwell::__private::Registration::of::<#name>()
            }
        }
    }

    /// The function that makes a call.
    fn call(&self) -> TokenStream {
        let (vis, name) = (&self.function.vis, &self.function.sig.ident);
        let (arguments, types) = (&self.arguments, &self.types);
        let of_call = self.attributes.of_call();
        quote! {
            #of_call
            #[allow(
                clippy::too_many_arguments,
                dead_code,
                reason = "a schedule and a request start it by its name"
            )]
            #vis fn #name(#(#arguments: #types),*) -> ::stepwell::Call<#name> {
                ::stepwell::Call::new((#(#arguments,)*))
            }
        }
    }
}

/// The `Ctx<S>` of `ctx: &mut Ctx<S>`.
fn context_type(signature: &Signature) -> syn::Result<&Type> {
    const EXPECTED: &str = "the first parameter of a workflow is its context, by mutable reference: \
         `ctx: &mut Ctx<State>`";
    match signature.inputs.first() {
        Some(FnArg::Typed(parameter)) => match &*parameter.ty {
            Type::Reference(reference) if reference.mutability.is_some() => Ok(&reference.elem),
            other => Err(Error::new_spanned(other, EXPECTED)),
        },
        _ => Err(Error::new_spanned(&signature.ident, EXPECTED)),
    }
}

fn refuse_markers(parameter: &PatType) -> syn::Result<()> {
    if let Some(attribute) = has_marker(parameter, "state") {
        return Err(Error::new_spanned(
            attribute,
            "a workflow reaches the state through its context: `ctx.state()`; `#[state]` is for \
             the parameters of steps and transactions",
        ));
    }
    if let Some(attribute) = has_marker(parameter, "attempt") {
        return Err(Error::new_spanned(
            attribute,
            "a workflow has no attempts: `#[attempt]` is for a parameter of a step",
        ));
    }
    Ok(())
}

/// Refuses references anywhere in the type of an argument.
fn check_owned(argument: &Type) -> syn::Result<()> {
    struct Borrowed<'ast>(Option<&'ast TypeReference>);
    impl<'ast> Visit<'ast> for Borrowed<'ast> {
        fn visit_type_reference(&mut self, found: &'ast TypeReference) {
            self.0.get_or_insert(found);
        }
    }
    let mut borrowed = Borrowed(None);
    borrowed.visit_type(argument);
    match borrowed.0 {
        Some(reference) => Err(Error::new_spanned(
            reference,
            "a workflow's arguments are stored in the database and must be owned: take `String` \
             instead of `&str`, `T` instead of `&T`",
        )),
        None => Ok(()),
    }
}

fn check_schedule(options: &Options, signature: &Signature, arguments: usize) -> syn::Result<()> {
    if options.schedule().is_none() || arguments <= 1 {
        return Ok(());
    }
    let second = signature.inputs.iter().nth(2);
    Err(Error::new_spanned(
        second,
        "a schedule starts its workflow with the time of the tick and nothing else: \
         take `(ctx: &mut Ctx<State>)` or `(ctx: &mut Ctx<State>, at: Timestamp)`",
    ))
}

/// The name of the context in the body, if it has one.
pub(crate) fn context_name(signature: &Signature) -> Option<Ident> {
    match signature.inputs.first() {
        Some(FnArg::Typed(parameter)) => match &*parameter.pat {
            Pat::Ident(pattern) => Some(format_ident!("{}", pattern.ident)),
            _ => None,
        },
        _ => None,
    }
}
