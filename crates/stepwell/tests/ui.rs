//! What the compiler says to likely mistakes, one file each, and that it says nothing to what is right.
//!
//! `TRYBUILD=overwrite cargo test -p stepwell --test ui` writes the expected output anew.

#[test]
fn mistakes_are_explained() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/*.rs");
}
