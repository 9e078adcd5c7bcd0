//! One file a command; `config` finds and loads the one configuration file for all of them.

pub(crate) mod app;
pub(crate) mod arc;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod policy;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod token;
