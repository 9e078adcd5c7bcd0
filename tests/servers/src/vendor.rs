//! The APIs of vendors, as far as they check a credential and answer: HTTP/1.1 on loopback.
//!
//! In: the secret that the vendor has issued. Out: a server that lets through what the vendor would let through, answers as
//! it does, and writes down all it was sent. Each credential is checked from the vendor's own documentation, with nothing of
//! the product: an error that both sides share would otherwise look like a success.
//!
//! | file | whose API | how the credential is checked |
//! | --- | --- | --- |
//! | [`anthropic`] | Anthropic Messages | `x-api-key` or bearer, never two; `anthropic-version` |
//! | [`github`] | GitHub REST | bearer; a `User-Agent` has to be there |
//! | [`google_cloud`] | Google Cloud with a service account | RS256 of the assertion, its claims, then the token it was changed for |
//! | [`google_maps`] | Google Maps web services | `key`, once, in the query |
//! | [`oauth2`] | any behind OAuth2 client credentials | basic, body or a signed assertion; then the token |
//! | [`openai`] | OpenAI | bearer |
//! | [`s3`] | Amazon S3 | Signature Version 4, computed anew from what arrived |
//! | [`signed`] | any that wants requests signed | HMAC-SHA-256 over the parts that arrived, its time, never twice |
//! | [`stripe`] | Stripe | basic or bearer |
//! | [`twilio`] | Twilio | basic, the account in the path being the user |
//! | [`vault`] | the transit engine of Vault or OpenBao | `X-Vault-Token`; ciphertexts authenticate |

use std::collections::VecDeque;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub mod anthropic;
pub mod github;
pub mod google_cloud;
pub mod google_maps;
mod http;
pub mod oauth2;
pub mod openai;
pub mod s3;
pub mod signed;
pub mod sigv4;
pub mod stripe;
pub mod twilio;
pub mod vault;

pub use http::{Call, Reply};

/// A vendor's API. Its thread lives as long as the test process.
pub struct Vendor {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    calls: Mutex<Vec<Call>>,
    faults: Mutex<VecDeque<Fault>>,
}

/// What goes wrong with one request, instead of its answer. Credentials are checked all the same.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status, with `Retry-After: 0`.
    Status(u16),
    /// Not one byte, until the peer gives up.
    Silence,
    /// The head and the first piece of the answer, then the connection's end.
    CutShort,
}

impl Vendor {
    /// Serves `api`, which is asked for an answer to every request.
    pub(crate) fn serving(api: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        Self::with_address(|_| api)
    }

    /// The same, for an API that has to know where it is.
    pub(crate) fn with_address<A>(make: impl FnOnce(&str) -> A) -> Self
    where
        A: Fn(&Call) -> Reply + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let api = Arc::new(make(&address));
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (api, shared) = (Arc::clone(&api), Arc::clone(&own));
                std::thread::spawn(move || serve(stream, &shared, &*api));
            }
        });
        Self { address, shared }
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `http://` host and port.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that was asked so far, whole requests only.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.calls).clone()
    }

    /// The latest request.
    ///
    /// # Panics
    /// When there was none.
    #[must_use]
    pub fn last(&self) -> Call {
        self.calls().pop().expect("the API has seen no request")
    }

    /// The next requests go wrong, one each.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.shared.faults).extend(faults);
    }
}

impl std::fmt::Debug for Vendor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vendor").field("address", &self.address).finish_non_exhaustive()
    }
}

fn serve(stream: TcpStream, shared: &Shared, api: &dyn Fn(&Call) -> Reply) {
    let _ = stream.set_nodelay(true);
    let mut connection = http::Connection::new(stream);
    while let Some(call) = connection.next_call() {
        let reply = api(&call);
        lock(&shared.calls).push(call);
        let fault = lock(&shared.faults).pop_front();
        let goes_on = match fault {
            None => connection.send(&reply),
            Some(Fault::Status(status)) => connection.send(
                &Reply::json(
                    status,
                    &serde_json::json!({ "error": { "message": "try again", "type": "server_error" } }),
                )
                .with("Retry-After", "0"),
            ),
            Some(Fault::Silence) => connection.wait_for_the_end(),
            Some(Fault::CutShort) => connection.send_the_beginning(&reply),
        };
        if !goes_on {
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
