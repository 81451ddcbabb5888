//! `#[derive(State)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Field, Meta};

use crate::signature::compact;

/// One `impl Provide<FieldType>` for each field that is marked `#[provide]`.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let name = &input.ident;
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(
            name,
            "`State` is derived for a struct: put each shared object into a field of its own",
        ));
    };
    let mut provided: Vec<&Field> = Vec::new();
    let mut implementations = TokenStream::new();
    for (field, member) in data.fields.iter().zip(data.fields.members()) {
        if !is_provided(field)? {
            continue;
        }
        refuse_second(&provided, field)?;
        provided.push(field);
        let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
        let ty = &field.ty;
        implementations.extend(quote! {
            #[automatically_derived]
            impl #impl_generics ::stepwell::Provide<#ty> for #name #type_generics #where_clause {
                fn provide(&self) -> &#ty {
                    &self.#member
                }
            }
        });
    }
    Ok(implementations)
}

fn is_provided(field: &Field) -> syn::Result<bool> {
    let mut found = false;
    for attribute in &field.attrs {
        if !attribute.path().is_ident("provide") {
            continue;
        }
        if !matches!(attribute.meta, Meta::Path(_)) {
            return Err(Error::new_spanned(
                attribute,
                "`#[provide]` takes no options: a step asks for the type of the field",
            ));
        }
        found = true;
    }
    Ok(found)
}

fn refuse_second(provided: &[&Field], field: &Field) -> syn::Result<()> {
    if provided.iter().all(|other| other.ty != field.ty) {
        return Ok(());
    }
    let ty = compact(&field.ty);
    Err(Error::new_spanned(
        &field.ty,
        format!(
            "two fields provide `{ty}`, and a step that asks for it could mean either: \
             give one of them a type of its own, such as `struct Archive({ty})`"
        ),
    ))
}
