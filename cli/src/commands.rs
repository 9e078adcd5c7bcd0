//! One file a command; `config` finds and loads the one configuration file for all of them.

pub(crate) mod admin;
pub(crate) mod app;
pub(crate) mod arc;
pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod confirm;
pub(crate) mod device;
pub(crate) mod fleet;
pub(crate) mod gateway;
pub(crate) mod init;
pub(crate) mod kek;
pub(crate) mod key;
pub(crate) mod keyset;
pub(crate) mod panic;
pub(crate) mod policy;
pub(crate) mod problems;
pub(crate) mod revocation;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod token;
pub(crate) mod token_issue;
