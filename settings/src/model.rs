//! What comes out of the configuration file: checked shapes, in the order of the file.
//!
//! Every value here has been proven at load: names resolve, numbers are within their bounds and never zero, paths are
//! absolute (or relative to the working directory, when the configuration's own path was), files exist and private ones
//! are private, patterns and policies are compiled.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use policies::{Lists, yaml::Place};

use crate::bundle::Bundle;

pub use attest_core::{
    evidence_kind::EvidenceKinds,
    reference::Platform,
    target::Scheme,
    token::{Algorithm, key_set::Concealment},
};

mod apps;
mod attestation;
mod callers;
mod faults;
mod issuers;
mod keys;
mod listeners;
mod lists;
mod log;
mod routes;
mod state;
mod upstreams;

pub use self::{
    apps::{AppPlatform, AppSettings},
    attestation::{
        AdminApi, Attestation, AttestationSource, FeedPin, RemoteSettings, ServeLimits, ServeSettings, TokenClaims,
        TokenSettings,
    },
    callers::{
        AltName, BearerProof, CallerProof, CallerSettings, CertificateProof, ClaimValue, CredentialSource, HmacScheme,
        JwtProof, SignatureEncoding, UserSource, WebhookProof, WebhookScheme, WebhookSecret,
    },
    faults::{CannotVerify, OurFaults, SharedStateDown},
    issuers::{IssuerKeys, IssuerProfile, IssuerSettings, SecretEncoding},
    keys::{AwsCredentials, AwsKmsUnlock, KeyServer, KeyStorePlace, KeysSettings, Unlock, VaultUnlock},
    listeners::{AdminListener, ConnectionLimits, Listeners, PublicListener, TlsFiles},
    lists::{ListKind, ListSettings},
    log::{AccessLog, LogLevel, LogSettings, RecordSettings, TracesSettings},
    routes::{GuardSettings, HostPattern, IssuerRef, Rewrite, RouteMatcher, RouteSettings, Source, TokenSource},
    state::{BadServerUrl, PostgresSettings, ServerUrl, SharedSettings, StateSettings},
    upstreams::{AdaptiveLimit, Concurrency, Queue, Timeouts, UpstreamSettings},
};

/// A whole configuration, checked.
///
/// Holds no secrets but the verification keys inside [`IssuerSettings::key_set`], those of [`WebhookSecret`] and the
/// passwords inside [`ServerUrl`]; none of them prints.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The configuration file, as it was named.
    pub path: PathBuf,
    /// `listeners:` Where this process listens.
    pub listeners: Listeners,
    /// `state:` The one folder that is written to, and the servers that hold what several machines share.
    pub state: StateSettings,
    /// `attestation:` Our own tokens: who issues them, and where the gateway gets its key sets.
    pub attestation: Option<Attestation>,
    /// `issuers:` Other issuers whose tokens some routes accept, by name.
    pub issuers: BTreeMap<String, IssuerSettings>,
    /// `callers:` Who else may call than apps, by name.
    pub callers: BTreeMap<String, CallerSettings>,
    /// `lists:` Networks, devices and paths by name, read and compiled.
    pub lists: Arc<Lists>,
    /// `lists:` Where each comes from, by name.
    pub list_sources: BTreeMap<String, ListSettings>,
    /// `keys:` The sealed keystore. Present whenever a route names a key.
    pub keys: Option<KeysSettings>,
    /// `our_faults:` The defaults for all routes; each [`RouteSettings::our_faults`] has them merged in already.
    pub our_faults: OurFaults,
    /// `upstreams:` by name.
    pub upstreams: BTreeMap<String, UpstreamSettings>,
    /// `routes:` most specific host first, then most specific path: the first whose pattern matches is the route.
    pub routes: Vec<RouteSettings>,
    /// `log:`
    pub log: LogSettings,
    /// `danger_core_dumps:` Core dumps of this process, with every secret in use, are as the system would have them.
    pub danger_core_dumps: bool,
    /// Every file that was read, and the configuration file first: what a reload watcher watches.
    pub sources: Vec<PathBuf>,
    /// SHA-256 over the names and contents of all [`Settings::sources`]: the identity of this generation.
    pub digest: [u8; 32],
    /// The text of every file that was read and holds no secret: what [`load_bundle`](crate::load_bundle()) loads again.
    pub bundle: Bundle,
    /// Where each route names its key and operations, for what is only known with the keystore open.
    pub(crate) places: BTreeMap<String, RoutePlaces>,
}

/// Places in the configuration file of what a route says about its key.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoutePlaces {
    pub(crate) key: Place,
    pub(crate) operations: Vec<Place>,
}

impl Settings {
    /// The route of this name.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<&RouteSettings> {
        self.routes.iter().find(|route| route.name == name)
    }

    /// The upstream of this route. Always there: [`load`](crate::load()) proved it.
    #[must_use]
    pub fn upstream_of(&self, route: &RouteSettings) -> Option<&UpstreamSettings> {
        self.upstreams.get(&route.upstream)
    }
}
