//! Links the integration tests at a fixed address, so that measuring is proven for programs of both kinds: the app is
//! position-independent, the tests that measure themselves are not.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg-tests=-no-pie");
    }
}
