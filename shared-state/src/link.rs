//! In: how to reach a server. Out: the one connection that calls use, for as long as the server behind it answers, is the
//! one whose epoch is known, and may be trusted to remember. A keeper in the background looks every second, at once when a
//! call failed, and reconnects with back-off.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use aws_lc_rs::rand::SecureRandom as _;
use redis::aio::MultiplexedConnection;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{epoch::Epoch, state::Inner, stream};

/// How often a connection that seems well is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(20);
/// For reaching a server, greeting included.
const CONNECT: Duration = Duration::from_secs(1);
/// Between two attempts: the first rest and the longest.
const FIRST_REST: Duration = Duration::from_millis(50);
const LONGEST_REST: Duration = Duration::from_secs(1);

/// The link of now; none while the server is away.
#[derive(Default)]
pub(crate) struct Linked(ArcSwapOption<Link>);

impl Linked {
    pub(crate) fn load(&self) -> Option<Arc<Link>> {
        self.0.load_full()
    }
}

/// A connection, and the epoch of the server behind it.
pub(crate) struct Link {
    connection: MultiplexedConnection,
    epoch: Epoch,
}

impl Link {
    pub(crate) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }
}

/// What moves the bytes of a connection. It ends when the server hangs up; dropping this ends it.
pub(crate) struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One attempt to reach the server; where it succeeds, calls have a link.
pub(crate) async fn attempt(inner: &Inner) -> Result<Driver, String> {
    let opened = timeout(CONNECT, async {
        let (mut connection, driver) = inner.route.open().await?;
        let driver = Driver(driver);
        let epoch = inner.epoch_of(&mut connection).await?;
        Ok((Link { connection, epoch }, driver))
    });
    match opened.await {
        Ok(Ok((link, driver))) => {
            inner.linked.0.store(Some(Arc::new(link)));
            Ok(driver)
        }
        Ok(Err(error)) => Err(stream::why(&error)),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// Keeps a link up for as long as it is run; `last` is how the first attempt ended.
pub(crate) async fn keep(inner: Arc<Inner>, mut last: Result<Driver, String>) {
    let mut rest = FIRST_REST;
    let mut told = false;
    loop {
        let why = match last {
            Ok(driver) => {
                tracing::info!(server = %inner.route, "the shared state answers");
                (rest, told) = (FIRST_REST, false);
                let why = watch(&inner, driver).await;
                inner.linked.0.store(None);
                why
            }
            Err(why) => why,
        };
        if !told {
            tracing::warn!(server = %inner.route, why, "the shared state is away");
            told = true;
        }
        sleep(rest / 2 + inner.jitter(rest / 2)).await;
        rest = (rest * 2).min(LONGEST_REST);
        last = attempt(&inner).await;
    }
}

/// Watches a link; gives back why it is no good any more.
async fn watch(inner: &Inner, mut driver: Driver) -> String {
    loop {
        tokio::select! {
            _ = &mut driver.0 => return "it hung up".to_owned(),
            () = inner.doubted.notified() => {}
            () = sleep(LOOK_EVERY) => {}
        }
        let Some(link) = inner.linked.load() else { return "it is gone".to_owned() };
        let mut connection = link.connection();
        match timeout(inner.timeout, inner.epoch_of(&mut connection)).await {
            Ok(Ok(epoch)) if epoch == link.epoch => {}
            Ok(Ok(epoch)) => {
                tracing::info!(server = %inner.route, "the shared state begins a new epoch: what was promised before is refused");
                inner.linked.0.store(Some(Arc::new(Link { connection, epoch })));
            }
            Ok(Err(error)) => return stream::why(&error),
            Err(_) => return "no answer in time".to_owned(),
        }
        // However many calls doubt it.
        sleep(LOOK_AT_MOST_EVERY).await;
    }
}

impl Inner {
    /// Up to `most`, at random: machines that lost one server don't come back in step.
    fn jitter(&self, most: Duration) -> Duration {
        let mut byte = [0];
        match self.random.fill(&mut byte) {
            Ok(()) => most * u32::from(byte[0]) / 255,
            Err(_) => most,
        }
    }
}
