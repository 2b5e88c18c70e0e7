//! `#[reflex::main]`, `#[reflex::test]` and `#[reflex::metric]`: they write down what the facade needs to find the
//! function or the static, and leave it itself as it is.

use proc_macro::TokenStream;
use quote::quote;
use syn::{Expr, ItemFn, ItemStatic, LitStr, parse::Nothing, parse_macro_input};

/// Makes the function the image's `main`: `fn(System)` or `fn(System) -> Result<(), E>` where `E`
/// can be displayed. An error is logged and ends the image with status 1, or its own.
/// `#[reflex::main(arguments = ARGUMENTS)]` declares the keys of the kernel command line that it takes, a
/// `&'static [Argument]`; none unless said.
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut declared: Option<Expr> = None;
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("arguments") {
            declared = Some(meta.value()?.parse()?);
            Ok(())
        } else {
            Err(meta.error("expected `arguments = ARGUMENTS`"))
        }
    });
    parse_macro_input!(arguments with parser);
    let declared = declared.map_or_else(|| quote!(&[]), |declared| quote!(#declared));
    let function = parse_macro_input!(item as ItemFn);
    let name = &function.sig.ident;
    quote! {
        #function

        ::reflex::__image!(#name, #declared);
    }
    .into()
}

/// Makes the function an in-image test: `fn(System)` or `fn(System) -> Result<(), E>`. A panic,
/// an error or a crash fails it. `#[reflex::test(group = "name")]` gives it a boot shared with
/// the others of that group only.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut group: Option<LitStr> = None;
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("group") {
            group = Some(meta.value()?.parse()?);
            Ok(())
        } else {
            Err(meta.error("expected `group = \"name\"`"))
        }
    });
    parse_macro_input!(arguments with parser);
    let function = parse_macro_input!(item as ItemFn);
    let name = &function.sig.ident;
    let group = group.map_or_else(|| "default".into(), |group| group.value());
    quote! {
        #function

        const _: () = {
            #[allow(unsafe_code)]
            #[::reflex::__private::linkme::distributed_slice(::reflex::__private::TESTS)]
            #[linkme(crate = ::reflex::__private::linkme)]
            static TEST: ::reflex::__private::Test = ::reflex::__private::Test {
                path: ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name)),
                group: #group,
                run: |system| ::reflex::__private::Outcome::of(#name(system)),
            };
        };
    }
    .into()
}

/// Makes the static, a `Counter`, a `Gauge` or a `Histogram` of `reflex::metrics`, one of the image's metrics: it is
/// among `System::metrics`. Two that cannot be told apart end the image at its start.
#[proc_macro_attribute]
pub fn metric(arguments: TokenStream, item: TokenStream) -> TokenStream {
    parse_macro_input!(arguments as Nothing);
    let metric = parse_macro_input!(item as ItemStatic);
    let name = &metric.ident;
    quote! {
        #metric

        const _: () = {
            #[allow(unsafe_code)]
            #[::reflex::__private::linkme::distributed_slice(::reflex::__private::METRICS)]
            #[linkme(crate = ::reflex::__private::linkme)]
            static METRIC: &'static dyn ::reflex::metrics::Metric = &#name;
        };
    }
    .into()
}
