#![allow(warnings, clippy::all)]
#[path = "it/gateway.rs"]
mod gateway;
#[path = "it/issuer.rs"]
mod issuer;
#[path = "it/keys.rs"]
mod keys;
#[path = "it/world.rs"]
mod world;
