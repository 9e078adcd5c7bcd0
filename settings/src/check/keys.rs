//! `keys:` checked.

use std::{
    num::NonZeroU64,
    path::{Path, PathBuf},
};

use attest_core::target::Scheme;
use keystore::MasterKey;
use policies::yaml::Place;

use super::{Check, Kind};
use crate::{
    file::{
        keys::{Credential, KmsKeyId, Mount, RawAwsKms, RawKeyDatabase, RawKeys, RawUnlock, RawVault, Variable},
        names::{FilePath, Name},
        network::{Network, Origin, UrlParts},
    },
    files::LARGEST,
    model::{AwsCredentials, AwsKmsUnlock, KeyServer, KeyStorePlace, KeysSettings, Unlock, VaultUnlock},
    shape::{Either, Fault, Field},
};

/// What `keys:` came to.
pub(crate) struct Keys {
    /// Absent: something in it is wrong, and was noted.
    pub(crate) settings: Option<KeysSettings>,
    /// What opens the service's own secrets where it names nothing itself: the file of `unlock`. `None`: there is none;
    /// `Some(None)`: it is wrong, and was noted.
    pub(crate) service_unlock: Option<Option<PathBuf>>,
}

/// Reach to a server that is asked for a key.
struct Reach<'f> {
    ca_file: &'f Field<FilePath>,
    private_addresses: &'f Field<Vec<Field<Network>>>,
    danger_plaintext_loopback: &'f Field<bool>,
}

impl Check<'_, '_> {
    /// `state`: the state folder, where it is known.
    pub(crate) fn keys(&self, raw: &RawKeys, owner: Place, state: Option<&Path>) -> Keys {
        let unlock = self
            .need(&raw.unlock, owner, "unlock", "{ file: secrets/kek.key }")
            .and_then(|(unlock, at)| self.unlock(unlock, at));
        let store = self
            .need(&raw.store, owner, "store", "secrets/keys.sealed")
            .and_then(|(store, at)| self.key_store(store, at));
        let min_generation = raw.min_generation.good().and_then(|(number, at)| {
            let number = NonZeroU64::new(*number);
            if number.is_none() {
                let fault = Fault::new("`min_generation` is 0: every store has a higher one, so this pins nothing");
                self.refuse(at, "out_of_bounds", fault.hint("write the number that `assay key list` shows"));
            }
            number
        });
        let audit = match raw.audit.good() {
            Some((FilePath(path), _)) => Some(self.files.resolve(path)),
            None => state.map(|dir| dir.join("audit")),
        };
        let service_unlock = match &unlock {
            Some(Unlock::File(path)) => Some(Some(path.clone())),
            Some(_) => None,
            None => Some(None),
        };
        let settings = || {
            let state = state?.to_path_buf();
            Some(KeysSettings { store: store?, unlock: unlock?, min_generation, state, audit: audit? })
        };
        let settings = settings();
        Keys { settings, service_unlock }
    }

    fn key_store(&self, raw: &Either<FilePath, RawKeyDatabase>, at: Place) -> Option<KeyStorePlace> {
        let raw = match raw {
            Either::Plain(path) => return self.key_file(path, at).map(KeyStorePlace::File),
            Either::Structured(raw) => raw,
        };
        let (database, at) = self.need(&raw.database, at, "database", "{ url_file: secrets/keys.url }")?;
        let database = self.database(database, at, "keys.store.database")?;
        let name = raw.name.value.as_ref().map_or_else(|| "keys".to_owned(), |Name(name)| name.clone());
        Some(KeyStorePlace::Database { database, name })
    }

    fn key_file(&self, path: &FilePath, at: Place) -> Option<PathBuf> {
        let path = self.files.resolve(&path.0);
        // Read so that it is watched: `assay key put` is a change like any other.
        if let Err(fault) = self.files.read_live(&path, LARGEST) {
            if path.exists() {
                self.refuse(at, "unreadable_file", fault);
                return None;
            }
            // Not an error here: the command that makes it loads this file. Whoever runs it opens the store, and says so.
            self.warn(at, "no_store", fault.hint("`assay key put NAME` makes it; without it nothing here can run"));
        }
        Some(path)
    }

    /// Exactly one source of a key-encryption key. What the environment, systemd or a server has to say shows when the
    /// store is opened: here it may be another machine.
    fn unlock(&self, raw: &RawUnlock, owner: Place) -> Option<Unlock> {
        let places = [raw.file.at, raw.passphrase_file.at, raw.env.at, raw.systemd.at, raw.vault.at, raw.aws_kms.at];
        let mut there = places.into_iter().flatten();
        match (there.next(), there.next()) {
            (None, _) => {
                let fault = Fault::new("nothing opens the store: `unlock` is empty");
                self.refuse(
                    owner,
                    "missing_field",
                    fault.hint("write file: secrets/kek.key; or passphrase_file, systemd, env, vault or aws_kms"),
                );
                return None;
            }
            (_, Some(second)) => {
                let fault = Fault::new("a store is opened in one way, and here are two");
                self.refuse(second, "two_sources", fault.hint("keep the one that `assay kek show` names"));
                return None;
            }
            _ => {}
        }
        if !raw.file.is_absent() {
            return self.unlock_file(&raw.file).map(Unlock::File);
        }
        if !raw.passphrase_file.is_absent() {
            return self.passphrase_file(&raw.passphrase_file).map(Unlock::PassphraseFile);
        }
        if let Some((Variable(name), at)) = raw.env.good() {
            let fault = Fault::new("a key in the environment is seen by child processes, crash reports and /proc");
            self.warn(at, "unlock_environment", fault.hint("a file (mode 600) or a systemd credential is better"));
            return Some(Unlock::Environment(name.clone()));
        }
        if let Some((Credential(name), _)) = raw.systemd.good() {
            return Some(Unlock::Systemd(name.clone()));
        }
        if let Some((vault, at)) = raw.vault.good() {
            return self.vault(vault, at).map(Unlock::Vault);
        }
        raw.aws_kms.good().and_then(|(kms, at)| self.aws_kms(kms, at)).map(Unlock::AwsKms)
    }

    /// The file of a key-encryption key, and a key in it.
    pub(crate) fn unlock_file(&self, field: &Field<FilePath>) -> Option<PathBuf> {
        let (path, _, at) = self.file(field, Kind::Private, 4096)?;
        match MasterKey::from_file(&path) {
            Ok(_) => Some(path),
            Err(error) => {
                let fault = Fault::new(format!("{error}"));
                self.refuse(
                    at,
                    "unusable_unlock",
                    fault.hint("32 random bytes, raw or as base64; `assay init` makes one"),
                );
                None
            }
        }
    }

    fn passphrase_file(&self, field: &Field<FilePath>) -> Option<PathBuf> {
        let (path, content, at) = self.file(field, Kind::Private, 4096)?;
        if content.line().is_some_and(|line| (16..=1024).contains(&line.chars().count())) {
            return Some(path);
        }
        let fault = Fault::new(format!("`{}` does not hold a passphrase", path.display()));
        self.refuse(
            at,
            "unusable_unlock",
            fault.hint("one line of 16 to 1,024 characters; whoever guesses it has every key: take seven random words"),
        );
        None
    }

    fn vault(&self, raw: &RawVault, owner: Place) -> Option<VaultUnlock> {
        let url = self.need(&raw.url, owner, "url", "https://vault.internal:8200");
        let key = self.need(&raw.key, owner, "key", "assay");
        let token_file = match self.need(&raw.token_file, owner, "token_file", "secrets/vault.token") {
            Some(_) => self.file(&raw.token_file, Kind::Private, 4096).map(|(path, ..)| path),
            None => None,
        };
        let reach = Reach {
            ca_file: &raw.ca_file,
            private_addresses: &raw.private_addresses,
            danger_plaintext_loopback: &raw.danger_plaintext_loopback,
        };
        let (Origin(url), at) = url?;
        Some(VaultUnlock {
            server: self.key_server(url, at, &reach),
            mount: raw.mount.value.as_ref().map_or_else(|| "transit".to_owned(), |Mount(mount)| mount.clone()),
            key: key?.0.0.clone(),
            token_file: token_file?,
            namespace: raw.namespace.value.as_ref().map(|Mount(namespace)| namespace.clone()),
        })
    }

    fn aws_kms(&self, raw: &RawAwsKms, owner: Place) -> Option<AwsKmsUnlock> {
        let key_id = self.need(&raw.key_id, owner, "key_id", "alias/assay");
        let region = self.need(&raw.region, owner, "region", "eu-central-1");
        let credentials = if raw.credentials_file.is_absent() {
            Some(AwsCredentials::Environment)
        } else {
            self.file(&raw.credentials_file, Kind::Private, 64 * 1024).map(|(path, ..)| AwsCredentials::File(path))
        };
        let reach = Reach {
            ca_file: &raw.ca_file,
            private_addresses: &raw.private_addresses,
            danger_plaintext_loopback: &raw.danger_plaintext_loopback,
        };
        let (Name(region), _) = region?;
        let own = UrlParts {
            scheme: Scheme::Https,
            host: format!("kms.{region}.amazonaws.com"),
            port: 443,
            path: String::new(),
        };
        let (url, at) = match raw.endpoint.good() {
            Some((Origin(url), at)) => (url, at),
            None if raw.endpoint.is_absent() => (&own, owner),
            None => return None,
        };
        let KmsKeyId(key_id) = key_id?.0;
        Some(AwsKmsUnlock {
            server: self.key_server(url, at, &reach),
            key_id: key_id.clone(),
            region: region.clone(),
            credentials: credentials?,
        })
    }

    /// The same rules as for upstreams: TLS, or loopback where it was typed; private addresses only when listed.
    fn key_server(&self, url: &UrlParts, at: Place, reach: &Reach<'_>) -> KeyServer {
        let private_addresses = self.private_addresses(reach.private_addresses);
        let danger = self.flag(reach.danger_plaintext_loopback, false);
        self.reachable(url, at, danger, &private_addresses);
        let does_nothing = [
            ("danger_plaintext_loopback", reach.danger_plaintext_loopback.at.filter(|_| danger), Scheme::Https),
            ("ca_file", reach.ca_file.at, Scheme::Http),
        ];
        for (name, at, scheme) in does_nothing {
            if let Some(at) = at.filter(|_| url.scheme == scheme) {
                let fault = Fault::new(format!("`{name}` does nothing with {}", url.scheme));
                self.refuse(at, "does_nothing", fault.hint("take the line out"));
            }
        }
        KeyServer {
            scheme: url.scheme,
            host: url.host.clone(),
            port: url.port,
            ca_file: self.certificates(reach.ca_file),
            private_addresses,
        }
    }
}
