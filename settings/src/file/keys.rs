//! `keys:` as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    names::{FilePath, Name},
    network::{Network, Origin},
    state::RawDatabase,
    text::text_type,
    units::shown,
};
use crate::shape::{Either, Fault, Field};

/// The sealed store of third-party keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Keys")]
pub(crate) struct RawKeys {
    /// The store; ciphertext only. A file, which may live in Git, or a database that many gateways share. Fill it with
    /// `assay key put`.
    pub(crate) store: Field<Either<FilePath, RawKeyDatabase>>,
    /// What opens it.
    pub(crate) unlock: Field<RawUnlock>,
    /// The oldest generation that is opened. A machine refuses older ones than it has seen by itself; a fresh one has seen
    /// none, and an old file from Git or a backup would pass. `assay key list` shows the number. Default: any.
    #[serde(default)]
    pub(crate) min_generation: Field<u64>,
    /// Folder of the audit log of keys: who sealed, rotated and removed, and which request had which key. Default: `audit`
    /// in the folder of `state`.
    #[serde(default)]
    pub(crate) audit: Field<FilePath>,
}

/// A store in PostgreSQL. Gateways that share it follow a change within seconds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeyDatabase")]
pub(crate) struct RawKeyDatabase {
    /// The server.
    pub(crate) database: Field<RawDatabase>,
    /// The store's name there: one for each installation. Default: keys.
    #[serde(default)]
    pub(crate) name: Field<Name>,
}

/// Where a key-encryption key comes from; exactly one of these. Back it up elsewhere: without it every key has to be put
/// again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Unlock")]
pub(crate) struct RawUnlock {
    /// File with 32 bytes, raw or as base64; not readable by others.
    #[serde(default)]
    pub(crate) file: Field<FilePath>,
    /// File with a passphrase of 16 characters or more, not readable by others; Argon2id makes a key of it.
    #[serde(default)]
    pub(crate) passphrase_file: Field<FilePath>,
    /// Environment variable with 32 bytes as base64. Others who may look into this process read it: a file is better.
    #[serde(default)]
    pub(crate) env: Field<Variable>,
    /// The systemd credential of this name (LoadCredential=, LoadCredentialEncrypted=), 32 bytes, raw or as base64.
    #[serde(default)]
    pub(crate) systemd: Field<Credential>,
    /// The transit engine of Vault or OpenBao.
    #[serde(default)]
    pub(crate) vault: Field<RawVault>,
    /// A symmetric key of AWS KMS.
    #[serde(default)]
    pub(crate) aws_kms: Field<RawAwsKms>,
}

/// The transit engine of Vault or OpenBao, which unwraps the key-encryption key at start. The token needs `update` on
/// `MOUNT/decrypt/KEY`, and on `MOUNT/encrypt/KEY` where `assay kek rotate` runs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Vault")]
pub(crate) struct RawVault {
    /// The server: `https://vault.internal:8200`.
    pub(crate) url: Field<Origin>,
    /// Name of the transit key.
    pub(crate) key: Field<Name>,
    /// Where the engine is mounted. Default: transit.
    #[serde(default)]
    pub(crate) mount: Field<Mount>,
    /// File with the token, not readable by others. Read at every call: an agent may renew it.
    pub(crate) token_file: Field<FilePath>,
    /// Namespace, where the server has them.
    #[serde(default)]
    pub(crate) namespace: Field<Mount>,
    /// Roots for its certificate, PEM. Default: the public ones.
    #[serde(default)]
    pub(crate) ca_file: Field<FilePath>,
    /// Private networks that its name may lead to. Default: none.
    #[serde(default)]
    pub(crate) private_addresses: Field<Vec<Field<Network>>>,
    /// Allows http to loopback, where an agent listens. Whatever else runs on this machine may read the key. Default: false.
    #[serde(default)]
    pub(crate) danger_plaintext_loopback: Field<bool>,
}

/// A symmetric key of AWS KMS, which unwraps the key-encryption key at start. Needs `kms:Decrypt`, and `kms:Encrypt` where
/// `assay kek rotate` runs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AwsKms")]
pub(crate) struct RawAwsKms {
    /// Key id, alias/NAME, or ARN.
    pub(crate) key_id: Field<KmsKeyId>,
    /// The key's region: eu-central-1.
    pub(crate) region: Field<Name>,
    /// File with what `aws configure export-credentials` prints, not readable by others; read at every call. Default:
    /// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN of the environment.
    #[serde(default)]
    pub(crate) credentials_file: Field<FilePath>,
    /// Instead of `https://kms.REGION.amazonaws.com`, such as that of a VPC.
    #[serde(default)]
    pub(crate) endpoint: Field<Origin>,
    /// Roots for its certificate, PEM. Default: the public ones.
    #[serde(default)]
    pub(crate) ca_file: Field<FilePath>,
    /// Private networks that its name may lead to, as inside a VPC. Default: none.
    #[serde(default)]
    pub(crate) private_addresses: Field<Vec<Field<Network>>>,
    /// Allows http to loopback. Whatever else runs on this machine may read the key. Default: false.
    #[serde(default)]
    pub(crate) danger_plaintext_loopback: Field<bool>,
}

text_type!(
    /// The name of an environment variable.
    Variable(String), "the name of an environment variable",
    { "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,127}$", "description": "An environment variable, without `$`." },
    variable
);

text_type!(
    /// The name of a systemd credential: a plain file name.
    Credential(String), "the name of a systemd credential",
    { "type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", "description": "A credential's name, as in LoadCredential=." },
    credential
);

text_type!(
    /// A path in Vault: a mount or a namespace.
    Mount(String), "a path such as `transit`",
    { "type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_/.-]{0,254}$", "description": "A path without slashes at its ends." },
    mount
);

text_type!(
    /// A key of AWS KMS.
    KmsKeyId(String), "a key of AWS KMS such as `alias/assay`",
    { "type": "string", "pattern": "^[A-Za-z0-9:/_-]{1,2048}$", "description": "Key id, alias/NAME, or ARN." },
    kms_key_id
);

fn variable(text: &str) -> Result<String, Fault> {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if first && text.len() <= 128 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Ok(text.to_owned());
    }
    // What stands here may be the key itself: it is not repeated.
    Err(Fault::new("this is not the name of an environment variable")
        .hint("write the variable's name without `$`: env: ASSAY_KEK; its value is never written here"))
}

fn credential(text: &str) -> Result<String, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if !text.is_empty() && text.len() <= 128 && !text.starts_with(['.', '-']) && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{}` is not the name of a systemd credential", shown(text)))
        .hint("write it as in the unit: LoadCredential=assay-kek:/etc/assay/kek.key is systemd: assay-kek"))
}

fn mount(text: &str) -> Result<String, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let part = |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain);
    if text.len() <= 255 && text.split('/').all(part) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{}` is not a path of Vault", shown(text)))
        .hint("write it without slashes at its ends and without dot segments, as `transit` or `teams/api/transit`"))
}

fn kms_key_id(text: &str) -> Result<String, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'/' | b'_' | b'-');
    if (1..=2048).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("`{}` is not a key of AWS KMS", shown(text)))
        .hint("write its id, alias/NAME, or its ARN, as arn:aws:kms:eu-central-1:111122223333:key/…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_a_variable_is_never_repeated() {
        for bad in ["$ASSAY_KEK", "3q2+7w==", "", "A-B", "1A", &"A".repeat(129)] {
            let fault = variable(bad).unwrap_err();
            assert!(bad.is_empty() || !fault.message.contains(bad), "{}", fault.message);
        }
        assert!(variable("_ASSAY_KEK2").is_ok());
    }

    #[test]
    fn a_credential_is_a_plain_file_name() {
        for bad in ["", "../kek", "/etc/kek", ".", "..", ".hidden", "-x", "a b", "a/b"] {
            assert!(credential(bad).is_err(), "{bad:?}");
        }
        assert!(credential("assay-kek.v2").is_ok());
    }

    #[test]
    fn a_mount_has_no_dots_or_ends_to_climb_over() {
        for bad in ["", "/transit", "transit/", "a//b", "..", "a/../b", "a?b", "a%2fb", "a b"] {
            assert!(mount(bad).is_err(), "{bad:?}");
        }
        assert!(mount("teams/api/transit-2").is_ok());
    }
}
