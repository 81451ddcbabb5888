//! Where the attributes of the user's function go: it becomes a type, a body and a function.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Attribute;

use crate::kind::Kind;

/// The user's attributes, sorted by what they are about.
#[derive(Default)]
pub(crate) struct Attributes {
    conditions: Vec<Attribute>,
    docs: Vec<Attribute>,
    lints: Vec<Attribute>,
    deprecation: Vec<Attribute>,
    others: Vec<Attribute>,
}

impl Attributes {
    /// Sorts the attributes of a function.
    pub(crate) fn sort(attributes: &[Attribute]) -> Self {
        let mut sorted = Self::default();
        for attribute in attributes {
            let name = attribute.path().get_ident().map(ToString::to_string);
            let place = match name.as_deref() {
                Some("cfg") => &mut sorted.conditions,
                Some("doc") => &mut sorted.docs,
                Some("allow" | "warn" | "deny" | "forbid") => &mut sorted.lints,
                Some("deprecated") => &mut sorted.deprecation,
                _ => &mut sorted.others,
            };
            place.push(attribute.clone());
        }
        sorted
    }

    /// For generated `impl` blocks and constants: only the conditions.
    pub(crate) fn of_impl(&self) -> TokenStream {
        let conditions = &self.conditions;
        quote!(#(#conditions)*)
    }

    /// For the type that shares the function's name.
    pub(crate) fn of_type(&self) -> TokenStream {
        let Self {
            conditions,
            docs,
            lints,
            ..
        } = self;
        // The function of the same name is linted for all of these.
        quote! {
            #(#conditions)*
            #(#docs)*
            #(#lints)*
            #[allow(
                dead_code,
                missing_debug_implementations,
                missing_docs,
                non_camel_case_types,
                reason = "the type stands for the function of the same name"
            )]
        }
    }

    /// For the user's own body.
    pub(crate) fn of_body(&self, kind: Kind) -> TokenStream {
        let Self {
            conditions,
            docs,
            lints,
            others,
            ..
        } = self;
        let summary = match kind {
            Kind::Workflow => "The body of the workflow.",
            Kind::Step => "The body of the step, for a call without an engine.",
            Kind::Transaction => "The body, for a call within a transaction that is already open.",
        };
        quote! {
            #(#conditions)*
            #[doc = #summary]
            #[doc = ""]
            #(#docs)*
            #(#lints)*
            #(#others)*
        }
    }

    /// For the function that makes a call.
    pub(crate) fn of_call(&self) -> TokenStream {
        let Self {
            conditions,
            docs,
            lints,
            deprecation,
            ..
        } = self;
        quote!(#(#conditions)* #(#docs)* #(#lints)* #(#deprecation)*)
    }
}
