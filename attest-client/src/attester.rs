//! The attest request. Comes in: a challenge. Goes out: the bytes to post.
//! Proven between: everything that is said in it is in the transcript T; the device key signs T, the measurement is
//! taken now and its MAC carries T, and so does each platform's Evidence.

use std::sync::{Arc, Mutex, PoisonError};

use attest_core::device_key::DevicePublicKey;
use attest_core::envelope::{AttestRequest, Evidence, MAX_DEVICE_FACTS, MAX_ENVELOPE_BYTES, PreviousKey};
use attest_core::evidence_kind::EvidenceKind;
use attest_core::measurement::mac;
use attest_core::reference::Platform;

use crate::cache::Binding;
use crate::device_key::{DeviceKey, DeviceKeyError};
use crate::evidence::{Bound, EvidenceProvider};
use crate::findings::{findings, findings_with_self_check};
use crate::measure::self_image_with;
use crate::status::FetchError;

/// Who asks, and what it can bring.
pub(crate) struct Attester {
    pub(crate) app: String,
    pub(crate) version: String,
    pub(crate) platform: Platform,
    pub(crate) build: String,
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) keys: Keys,
    pub(crate) providers: Vec<Arc<dyn EvidenceProvider>>,
    /// Libraries that are measured with the program.
    pub(crate) libraries: Vec<String>,
    /// Whether the kernel is asked for tracers, too.
    pub(crate) self_check: bool,
}

/// The device key in use; another takes its place when it was renewed.
pub(crate) struct Keys(Mutex<Arc<dyn DeviceKey>>);

impl Keys {
    pub(crate) fn new(key: Arc<dyn DeviceKey>) -> Self {
        Self(Mutex::new(key))
    }

    pub(crate) fn current(&self) -> Arc<dyn DeviceKey> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// `next` from now on. The service knows it already, so it is taken even where it can't be settled, and that is told.
    pub(crate) fn replace(&self, next: Arc<dyn DeviceKey>) -> Result<(), DeviceKeyError> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *held, Arc::clone(&next));
        drop(held);
        // Outside the lock: an app's key may call back as it goes.
        drop(old);
        next.settled()
    }
}

/// Which name or fact the service would not read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadIdentity {
    /// App, version, build label, or the name of a device fact.
    #[error("{place} {text:?}: 1 to 64 of A-Z a-z 0-9 . _ + -")]
    Word {
        /// Which one.
        place: &'static str,
        /// Its text.
        text: String,
    },
    /// The value of a device fact.
    #[error("device fact {name}: at most 128 printable ASCII characters")]
    Fact {
        /// The fact's name.
        name: String,
    },
    /// The name of a library to measure.
    #[error("library {0:?}: a file name of 1 to 128 of A-Z a-z 0-9 . _ + -, without its folder")]
    Library(String),
    /// More facts than are read.
    #[error("more than {MAX_DEVICE_FACTS} device facts, or one of them twice")]
    Facts,
    /// Two providers of one kind of Evidence, or one of `measurement`, which the SDK gives itself.
    #[error("two sources of {} evidence", .0.as_str())]
    Evidence(EvidenceKind),
}

impl Attester {
    /// Checks what does not change from request to request, so that a slip is told at the start and not by the service.
    pub(crate) fn checked(self) -> Result<Self, BadIdentity> {
        let build = Some(("build", &self.build)).filter(|(_, label)| !label.is_empty());
        let facts = self.facts.iter().map(|(name, _)| ("device fact", name));
        for (place, text) in [("app", &self.app), ("version", &self.version)].into_iter().chain(build).chain(facts) {
            if !is_word(text) {
                return Err(BadIdentity::Word { place, text: text.clone() });
            }
        }
        if let Some(name) = self.libraries.iter().find(|name| !is_file_name(name)) {
            return Err(BadIdentity::Library(name.clone()));
        }
        let printable = |text: &str| text.len() <= 128 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if let Some((name, _)) = self.facts.iter().find(|(_, value)| !printable(value)) {
            return Err(BadIdentity::Fact { name: name.clone() });
        }
        let mut names: Vec<_> = self.facts.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        if names.len() > MAX_DEVICE_FACTS || names.windows(2).any(|pair| matches!(pair, [one, two] if one == two)) {
            return Err(BadIdentity::Facts);
        }
        let mut kinds = vec![EvidenceKind::Measurement];
        for kind in self.providers.iter().map(|provider| provider.kind()) {
            if kinds.contains(&kind) {
                return Err(BadIdentity::Evidence(kind));
            }
            kinds.push(kind);
        }
        Ok(self)
    }

    /// The request for this `challenge` of this `key_set`, as JSON; with `next`, one that makes it the device key. Blocks:
    /// measures, signs, asks platforms.
    pub(crate) fn request(
        &self,
        challenge: &[u8],
        key_set: &str,
        binding: Binding,
        next: Option<&dyn DeviceKey>,
    ) -> Result<Vec<u8>, FetchError> {
        let current = self.keys.current();
        let key = next.unwrap_or(&*current);
        let device_key = public_key(key)?;
        let previous = next.map(|_| public_key(&*current)).transpose()?;
        let providers: Vec<_> = self.providers.iter().filter(|provider| provider.is_available()).collect();
        // App Store programs are encrypted on disk and iOS has no `/proc`: there the platform vouches, or nobody.
        let measured = (self.platform != Platform::Ios).then_some(EvidenceKind::Measurement);
        let kinds = measured.into_iter().chain(providers.iter().map(|provider| provider.kind()));
        let found = if self.self_check { findings_with_self_check() } else { findings() };
        let mut request = AttestRequest {
            challenge: challenge.to_vec(),
            app: self.app.clone(),
            version: self.version.clone(),
            platform: self.platform,
            build: self.build.clone(),
            device_key,
            device: self.facts.clone(),
            findings: found.iter().map(ToString::to_string).collect(),
            binding,
            // T depends on the kinds on offer and not on their bytes: those follow, made over T.
            evidence: kinds.map(|kind| Evidence { kind, data: Vec::new() }).collect(),
            signature: [0; 64],
            // Its public half is part of T, its signature follows.
            previous: previous.map(|device_key| PreviousKey { device_key, signature: [0; 64] }),
        };
        let transcript = request.transcript(key_set);
        let bound = Bound {
            transcript: *transcript.as_bytes(),
            transcript_without_device_key: *request.transcript_without_device_key(key_set).as_bytes(),
        };
        let mut pieces = Vec::new();
        if measured.is_some() {
            let image = self_image_with(&self.libraries);
            let image = image.map_err(|problem| FetchError::Measurement(problem.to_string()))?;
            pieces.push(mac(&image, challenge, &transcript).to_vec());
        }
        for provider in providers {
            let failed = |what| FetchError::Evidence { kind: provider.kind(), what };
            pieces.push(provider.evidence(&bound).map_err(failed)?);
        }
        for (evidence, data) in request.evidence.iter_mut().zip(pieces) {
            evidence.data = data;
        }
        request.signature = key.sign(&bound.transcript).map_err(key_failed)?;
        if let Some(previous) = &mut request.previous {
            previous.signature = current.sign(&bound.transcript).map_err(key_failed)?;
        }
        let json = request.to_json().to_string().into_bytes();
        if json.len() > MAX_ENVELOPE_BYTES {
            return Err(FetchError::Request("its evidence is longer than 64 KiB in all".into()));
        }
        Ok(json)
    }
}

fn public_key(key: &dyn DeviceKey) -> Result<DevicePublicKey, FetchError> {
    DevicePublicKey::parse(&key.public_key().map_err(key_failed)?).map_err(key_failed)
}

fn key_failed(problem: impl std::fmt::Display) -> FetchError {
    FetchError::DeviceKey(problem.to_string())
}

fn is_word(text: &str) -> bool {
    text.len() <= 64 && is_file_name(text)
}

fn is_file_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-');
    (1..=128).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_key::SoftwareKey;

    fn attester(app: &str, version: &str, build: &str, facts: &[(&str, &str)]) -> Attester {
        Attester {
            app: app.into(),
            version: version.into(),
            platform: Platform::Linux,
            build: build.into(),
            facts: facts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            keys: Keys::new(Arc::new(SoftwareKey::in_memory().unwrap())),
            providers: Vec::new(),
            libraries: Vec::new(),
            self_check: false,
        }
    }

    /// An app's key that asks for the key in use while it is let go.
    struct Nosy(std::sync::Weak<Keys>);

    impl DeviceKey for Nosy {
        fn public_key(&self) -> Result<[u8; 65], DeviceKeyError> {
            Err(DeviceKeyError::TooShort)
        }

        fn sign(&self, _: &[u8; 32]) -> Result<[u8; 64], DeviceKeyError> {
            Err(DeviceKeyError::TooShort)
        }
    }

    impl Drop for Nosy {
        fn drop(&mut self) {
            self.0.upgrade().unwrap().current();
        }
    }

    #[test]
    fn a_key_that_is_let_go_may_ask_for_the_next_one() {
        let keys = Arc::new_cyclic(|keys| Keys::new(Arc::new(Nosy(keys.clone()))));
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            keys.replace(Arc::new(SoftwareKey::in_memory().unwrap())).unwrap();
            tell.send(()).unwrap();
        });
        told.recv_timeout(std::time::Duration::from_secs(10)).expect("it waits for itself");
    }

    #[test]
    fn refuses_names_that_the_service_would_not_read() {
        let word = |place, text: &str| Some(BadIdentity::Word { place, text: text.to_owned() });
        assert_eq!(attester("", "1", "", &[]).checked().err(), word("app", ""));
        assert_eq!(attester("my shop", "1", "", &[]).checked().err(), word("app", "my shop"));
        assert_eq!(attester("shop", &"1".repeat(65), "", &[]).checked().err(), word("version", &"1".repeat(65)));
        assert_eq!(attester("shop", "1", "a/b", &[]).checked().err(), word("build", "a/b"));
        assert_eq!(attester("shop", "1", "", &[("é", "")]).checked().err(), word("device fact", "é"));
        let fact = Some(BadIdentity::Fact { name: "model".into() });
        assert_eq!(attester("shop", "1", "", &[("model", "line\nbreak")]).checked().err(), fact);
        assert_eq!(attester("shop", "1", "", &[("os", "a"), ("os", "b")]).checked().err(), Some(BadIdentity::Facts));
        let mut with_library = attester("shop", "1", "", &[]);
        with_library.libraries = vec!["libshop.so".into(), "lib/shop.so".into()];
        assert_eq!(with_library.checked().err(), Some(BadIdentity::Library("lib/shop.so".into())));
        assert_eq!(attester("shop", "3.2.0+7", "", &[("os", "linux")]).checked().err(), None);
    }

    #[test]
    fn on_ios_nothing_is_measured_and_the_device_key_signs_all_the_same() {
        let attester = Attester { platform: Platform::Ios, ..attester("shop", "1", "", &[]) };
        let request = AttestRequest::parse(&attester.request(&[1; 73], "default", None, None).unwrap()).unwrap();
        assert_eq!(request.evidence(EvidenceKind::Measurement), None);
        request.device_key.verify(&request.transcript("default"), &request.signature).unwrap();
    }

    struct Platforms(EvidenceKind);

    impl EvidenceProvider for Platforms {
        fn kind(&self) -> EvidenceKind {
            self.0
        }

        fn evidence(&self, _: &Bound) -> Result<Vec<u8>, String> {
            Err("none here".into())
        }
    }

    #[test]
    fn refuses_two_sources_of_one_kind() {
        for kinds in [vec![EvidenceKind::Measurement], vec![EvidenceKind::PlayIntegrity; 2]] {
            let kind = kinds[0];
            let mut attester = attester("shop", "1", "", &[]);
            for kind in kinds {
                attester.providers.push(Arc::new(Platforms(kind)));
            }
            assert_eq!(attester.checked().err(), Some(BadIdentity::Evidence(kind)));
        }
    }
}
