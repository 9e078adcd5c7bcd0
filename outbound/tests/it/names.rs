//! Resolvers of tests.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use outbound::{Dialer, Resolve};

/// Gives one answer after the other, whatever it is asked; then says that there is none.
#[derive(Debug, Default)]
pub(crate) struct Changing {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Changing {
    pub(crate) fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parsed = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self { answers: Mutex::new(answers.iter().map(parsed).collect()), asked: Mutex::default() })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Resolve for Changing {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(host.to_owned());
        self.answers.lock().unwrap().pop_front().ok_or_else(|| io::Error::other("no such name"))
    }
}

/// Never answers.
#[derive(Debug)]
pub(crate) struct Silent;

#[async_trait]
impl Resolve for Silent {
    async fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}

/// Every name is this machine.
#[derive(Debug)]
struct Here;

#[async_trait]
impl Resolve for Here {
    async fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }
}

pub(crate) fn here() -> Dialer {
    Dialer::new(Arc::new(Here))
}
