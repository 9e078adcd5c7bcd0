//! How a store's key-encryption key is made. In: what the head of the store says. Out: [`KekHeader`], kept and returned as
//! it is; proven between: a known provider, every parameter within its bounds. Turning it into a [`MasterKey`] takes files,
//! prompts and services, and is not done here.
//!
//! The head is read before there is a key to prove it with, so nothing in it may do harm: what an attacker writes there
//! costs a bounded amount of work, which a gateway that serves requests beside it has to survive, and ends as a wrong key. Once the store is open, the manifest has proven it.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::master_key::MasterKey;

/// The head of a store on its key-encryption key: which it is, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawKekHeader", into = "RawKekHeader")]
pub struct KekHeader {
    id: String,
    provider: KekProvider,
}

/// Where a key-encryption key comes from. Says where to ask, never the key itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum KekProvider {
    /// A file that the configuration names.
    File {},
    /// An environment variable that the configuration names.
    Environment {},
    /// A systemd credential that the configuration names.
    Systemd {},
    /// A passphrase, stretched.
    Passphrase {
        /// How.
        argon2id: Argon2id,
    },
    /// 32 random bytes, encrypted by the transit engine of Vault or OpenBao.
    Vault {
        /// Where the engine is mounted: `transit`.
        mount: String,
        /// The name of its key.
        key: String,
        /// The encrypted bytes, as the engine gave them: `vault:v1:…`.
        wrapped: String,
    },
    /// 32 random bytes, encrypted by AWS KMS.
    AwsKms {
        /// The region.
        region: String,
        /// The id or ARN of its key.
        key_id: String,
        /// The encrypted bytes, in base64 as KMS gave them.
        wrapped: String,
    },
}

/// Parameters of Argon2id, RFC 9106. The output is 32 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argon2id {
    /// The version of the algorithm: 19 (0x13), the only one.
    pub version: u32,
    /// Memory in KiB: 19,456 (19 MiB) to 262,144 (256 MiB).
    pub memory_kib: u32,
    /// Passes over it: 1 to 16.
    pub passes: u32,
    /// Lanes: 1 to 16.
    pub lanes: u32,
    /// 16 random bytes, in base64url.
    pub salt: String,
}

impl KekHeader {
    /// The head for `master`, which comes from `provider`.
    ///
    /// # Errors
    /// A parameter out of its bounds.
    pub fn new(master: &MasterKey, provider: KekProvider) -> Result<Self, KekHeaderError> {
        provider.check()?;
        Ok(Self { id: master.id(), provider })
    }

    /// The head for a key that stands in a file.
    pub fn file(master: &MasterKey) -> Self {
        Self { id: master.id(), provider: KekProvider::File {} }
    }

    /// The id of the key: 16 hex digits, see [`MasterKey::id`].
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it comes from.
    pub fn provider(&self) -> &KekProvider {
        &self.provider
    }
}

impl KekProvider {
    /// `file`, `environment`, `systemd`, `passphrase`, `vault` or `aws_kms`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File {} => "file",
            Self::Environment {} => "environment",
            Self::Systemd {} => "systemd",
            Self::Passphrase { .. } => "passphrase",
            Self::Vault { .. } => "vault",
            Self::AwsKms { .. } => "aws_kms",
        }
    }

    fn check(&self) -> Result<(), KekHeaderError> {
        match self {
            Self::File {} | Self::Environment {} | Self::Systemd {} => Ok(()),
            Self::Passphrase { argon2id } => argon2id.salt().map(|_| ()),
            Self::Vault { mount, key, wrapped } => {
                short("mount", mount)?;
                short("key", key)?;
                printable("wrapped", wrapped, MAX_WRAPPED)
            }
            Self::AwsKms { region, key_id, wrapped } => {
                short("region", region)?;
                short("key_id", key_id)?;
                printable("wrapped", wrapped, MAX_WRAPPED)
            }
        }
    }
}

impl Argon2id {
    /// The salt, with every parameter found within its bounds.
    ///
    /// # Errors
    /// `Parameter`, naming the one that is not.
    pub fn salt(&self) -> Result<[u8; 16], KekHeaderError> {
        let within = |what, good| if good { Ok(()) } else { Err(KekHeaderError::Parameter { what }) };
        within("version", self.version == 0x13)?;
        within("memory_kib", (19_456..=262_144).contains(&self.memory_kib))?;
        within("passes", (1..=16).contains(&self.passes))?;
        within("lanes", (1..=16).contains(&self.lanes))?;
        let salt = BASE64URL_NOPAD.decode(self.salt.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        salt.ok_or(KekHeaderError::Parameter { what: "salt" })
    }
}

impl fmt::Display for KekHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.provider.kind())
    }
}

/// Why the head of a store is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KekHeaderError {
    /// Not an id.
    #[error("the id of a key-encryption key is 16 lower-case hex digits")]
    NotAnId,
    /// Out of its bounds.
    #[error("\"{what}\" is out of its bounds")]
    Parameter {
        /// Which.
        what: &'static str,
    },
}

/// As it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKekHeader {
    id: String,
    provider: KekProvider,
}

impl TryFrom<RawKekHeader> for KekHeader {
    type Error = KekHeaderError;

    fn try_from(raw: RawKekHeader) -> Result<Self, KekHeaderError> {
        let hex =
            raw.id.len() == 16 && raw.id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if !hex {
            return Err(KekHeaderError::NotAnId);
        }
        raw.provider.check()?;
        Ok(Self { id: raw.id, provider: raw.provider })
    }
}

impl From<KekHeader> for RawKekHeader {
    fn from(header: KekHeader) -> Self {
        Self { id: header.id, provider: header.provider }
    }
}

/// A wrapped key of 32 bytes has under 1 KiB at every service.
const MAX_WRAPPED: usize = 4096;

fn short(what: &'static str, text: &str) -> Result<(), KekHeaderError> {
    printable(what, text, 256)
}

fn printable(what: &'static str, text: &str, most: usize) -> Result<(), KekHeaderError> {
    let good = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if good { Ok(()) } else { Err(KekHeaderError::Parameter { what }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(provider: &str) -> Result<KekHeader, String> {
        let text = format!(r#"{{"id":"0123456789abcdef","provider":{provider}}}"#);
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }

    fn passphrase(version: u32, memory_kib: u64, passes: u32, lanes: u32, salt: &str) -> String {
        format!(
            r#"{{"kind":"passphrase","argon2id":{{"version":{version},"memory_kib":{memory_kib},"passes":{passes},"lanes":{lanes},"salt":"{salt}"}}}}"#
        )
    }

    const SALT: &str = "AAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn refuses_parameters_that_would_eat_the_machine_or_stretch_nothing() {
        for (bad, what) in [
            (passphrase(16, 65_536, 3, 4, SALT), "version"),
            (passphrase(19, 19_455, 3, 4, SALT), "memory_kib"),
            (passphrase(19, 262_145, 3, 4, SALT), "memory_kib"),
            (passphrase(19, 65_536, 0, 4, SALT), "passes"),
            (passphrase(19, 65_536, 17, 4, SALT), "passes"),
            (passphrase(19, 65_536, 3, 0, SALT), "lanes"),
            (passphrase(19, 65_536, 3, 17, SALT), "lanes"),
            (passphrase(19, 65_536, 3, 4, "AAAA"), "salt"),
            (passphrase(19, 65_536, 3, 4, ""), "salt"),
        ] {
            assert!(read(&bad).unwrap_err().contains(what), "{bad}");
        }
        assert!(read(&passphrase(19, 65_536, 3, 4, SALT)).is_ok());
    }

    #[test]
    fn refuses_providers_that_are_unknown_or_say_too_much() {
        for bad in [
            r#"{"kind":"plaintext"}"#,
            r#"{"kind":"file","path":"/etc/x"}"#,
            r#"{"kind":"vault","mount":"transit","key":"assay","wrapped":""}"#,
            r#"{"kind":"vault","mount":"tran sit","key":"assay","wrapped":"vault:v1:AA"}"#,
            r#"{"kind":"vault","mount":"transit","key":"assay"}"#,
            r#"{"kind":"aws_kms","region":"","key_id":"k","wrapped":"AA"}"#,
            &format!(r#"{{"kind":"aws_kms","region":"r","key_id":"k","wrapped":"{}"}}"#, "A".repeat(4097)),
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        for bad in ["", "0123", "0123456789ABCDEF", "0123456789abcdeg"] {
            let text = format!(r#"{{"id":"{bad}","provider":{{"kind":"file"}}}}"#);
            assert!(serde_json::from_str::<KekHeader>(&text).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_provider_is_written_as_it_was_read() {
        for provider in [
            r#"{"kind":"file"}"#,
            r#"{"kind":"environment"}"#,
            r#"{"kind":"systemd"}"#,
            &passphrase(19, 65_536, 3, 4, SALT),
            r#"{"kind":"vault","mount":"transit","key":"assay","wrapped":"vault:v1:AAAA"}"#,
            r#"{"kind":"aws_kms","region":"eu-central-1","key_id":"arn:aws:kms:x","wrapped":"AAAA"}"#,
        ] {
            let written = serde_json::to_string(&read(provider).unwrap()).unwrap();
            assert_eq!(written, format!(r#"{{"id":"0123456789abcdef","provider":{provider}}}"#));
        }
    }
}
