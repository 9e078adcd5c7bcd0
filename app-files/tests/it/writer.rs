//! Archives and signing blocks, written byte by byte, so that they can be written wrongly.

use std::io::Write;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// One entry as its headers describe it; what is wrong with it is up to the test.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) local_name: Vec<u8>,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) packed: Vec<u8>,
    pub(crate) packed_size: u32,
    pub(crate) size: u32,
    pub(crate) extra: Vec<u8>,
    /// Bytes in front of its header that no entry owns.
    pub(crate) before: Vec<u8>,
    /// Bytes behind its data: a descriptor.
    pub(crate) behind: Vec<u8>,
    /// Where the directory says that it is; `None`: where it is.
    pub(crate) place: Option<u32>,
}

pub(crate) fn stored(name: &str, data: &[u8]) -> Entry {
    let mut crc = Crc::new();
    crc.update(data);
    Entry {
        name: name.into(),
        local_name: name.into(),
        flags: 0,
        method: 0,
        crc: crc.sum(),
        packed: data.to_vec(),
        packed_size: data.len() as u32,
        size: data.len() as u32,
        extra: Vec::new(),
        before: Vec::new(),
        behind: Vec::new(),
        place: None,
    }
}

pub(crate) fn deflated(name: &str, data: &[u8]) -> Entry {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    let packed = encoder.finish().unwrap();
    Entry { method: 8, packed_size: packed.len() as u32, packed, ..stored(name, data) }
}

/// An archive in its three parts.
pub(crate) struct Parts {
    pub(crate) contents: Vec<u8>,
    pub(crate) directory: Vec<u8>,
    pub(crate) count: u16,
    pub(crate) comment: Vec<u8>,
}

pub(crate) fn parts(entries: &[Entry]) -> Parts {
    let (mut contents, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        contents.extend(&entry.before);
        let place = entry.place.unwrap_or(contents.len() as u32);
        let fixed = |out: &mut Vec<u8>| {
            out.extend([20, 0]);
            out.extend(entry.flags.to_le_bytes());
            out.extend(entry.method.to_le_bytes());
            out.extend([0; 4]);
        };
        contents.extend(b"PK\x03\x04");
        fixed(&mut contents);
        let streamed = entry.flags & 8 != 0;
        let sizes = [entry.crc, entry.packed_size, entry.size];
        sizes.iter().for_each(|size| contents.extend(if streamed { [0; 4] } else { size.to_le_bytes() }));
        contents.extend((entry.local_name.len() as u16).to_le_bytes());
        contents.extend([0; 2]);
        contents.extend(&entry.local_name);
        contents.extend(&entry.packed);
        contents.extend(&entry.behind);

        directory.extend(b"PK\x01\x02\x14\0");
        fixed(&mut directory);
        sizes.iter().for_each(|size| directory.extend(size.to_le_bytes()));
        directory.extend((entry.name.len() as u16).to_le_bytes());
        directory.extend((entry.extra.len() as u16).to_le_bytes());
        directory.extend([0; 10]);
        directory.extend(place.to_le_bytes());
        directory.extend(&entry.name);
        directory.extend(&entry.extra);
    }
    Parts { contents, directory, count: entries.len() as u16, comment: Vec::new() }
}

impl Parts {
    /// The record that ends the archive, as if the directory began at `place`.
    fn end(&self, place: usize) -> Vec<u8> {
        let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
        end.extend(self.count.to_le_bytes());
        end.extend(self.count.to_le_bytes());
        end.extend((self.directory.len() as u32).to_le_bytes());
        end.extend((place as u32).to_le_bytes());
        end.extend((self.comment.len() as u16).to_le_bytes());
        end.extend(&self.comment);
        end
    }

    /// With this between contents and directory.
    pub(crate) fn with_block(&self, block: &[u8]) -> Vec<u8> {
        let place = self.contents.len() + block.len();
        [&self.contents[..], block, &self.directory, &self.end(place)].concat()
    }

    pub(crate) fn plain(&self) -> Vec<u8> {
        self.with_block(&[])
    }

    /// The content digest with SHA-256, as the signature schemes have it.
    pub(crate) fn content_digest(&self) -> Vec<u8> {
        let end = self.end(self.contents.len());
        let chunks: Vec<_> =
            [&self.contents, &self.directory, &end].iter().flat_map(|part| part.chunks(1 << 20)).collect();
        let mut all = vec![0x5a];
        all.extend((chunks.len() as u32).to_le_bytes());
        for chunk in chunks {
            let prefixed = [&[0xa5], &(chunk.len() as u32).to_le_bytes()[..], chunk].concat();
            all.extend(digest(&SHA256, &prefixed).as_ref());
        }
        digest(&SHA256, &all).as_ref().to_vec()
    }
}

/// A length and the bytes.
pub(crate) fn prefixed(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_le_bytes()[..], bytes].concat()
}

fn pair(id: u32, bytes: &[u8]) -> Vec<u8> {
    prefixed(&[&id.to_le_bytes()[..], &prefixed(bytes)].concat())
}

/// A P-256 key and its certificate.
pub(crate) struct Key {
    pair: rcgen::KeyPair,
    pub(crate) certificate: Vec<u8>,
}

impl Key {
    pub(crate) fn new() -> Self {
        let pair = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["a".into()]).unwrap().self_signed(&pair).unwrap();
        let certificate = certificate.der().to_vec();
        Self { pair, certificate }
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        digest(&SHA256, &self.certificate).as_ref().try_into().unwrap()
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, self.pair.serialized_der()).unwrap();
        pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }
}

/// What a signer signs, and with what.
pub(crate) struct Signing<'a> {
    pub(crate) key: &'a Key,
    pub(crate) certificate: &'a [u8],
    pub(crate) digest: Vec<u8>,
    pub(crate) digest_algorithm: u32,
    pub(crate) signature_algorithm: u32,
    /// v3: Android versions, inside of what is signed and outside.
    pub(crate) range: Option<([u32; 2], [u32; 2])>,
    pub(crate) attributes: Vec<u8>,
}

pub(crate) const ECDSA_SHA256: u32 = 0x0201;

pub(crate) fn v2<'a>(key: &'a Key, parts: &Parts) -> Signing<'a> {
    Signing {
        key,
        certificate: &key.certificate,
        digest: parts.content_digest(),
        digest_algorithm: ECDSA_SHA256,
        signature_algorithm: ECDSA_SHA256,
        range: None,
        attributes: Vec::new(),
    }
}

pub(crate) fn v3<'a>(key: &'a Key, parts: &Parts) -> Signing<'a> {
    Signing { range: Some(([28, 99], [28, 99])), ..v2(key, parts) }
}

impl Signing<'_> {
    /// The signer, length-prefixed.
    pub(crate) fn signer(&self) -> Vec<u8> {
        use rcgen::PublicKeyData;
        let versions = |range: [u32; 2]| range.map(u32::to_le_bytes).concat();
        let mut signed = prefixed(&pair(self.digest_algorithm, &self.digest));
        signed.extend(prefixed(&prefixed(self.certificate)));
        signed.extend(self.range.map(|(inside, _)| versions(inside)).unwrap_or_default());
        signed.extend(prefixed(&self.attributes));
        let mut signer = prefixed(&signed);
        signer.extend(self.range.map(|(_, outside)| versions(outside)).unwrap_or_default());
        signer.extend(prefixed(&pair(self.signature_algorithm, &self.key.sign(&signed))));
        signer.extend(prefixed(&self.key.pair.subject_public_key_info()));
        prefixed(&signer)
    }
}

pub(crate) const V2: u32 = 0x7109_871a;
pub(crate) const V3: u32 = 0xf053_68c0;
pub(crate) const V31: u32 = 0x1b93_ad61;

/// A signing block of these schemes, each with its signers.
pub(crate) fn block(schemes: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut pairs = Vec::new();
    for (id, signers) in schemes {
        let value = prefixed(signers);
        pairs.extend((value.len() as u64 + 4).to_le_bytes());
        pairs.extend(id.to_le_bytes());
        pairs.extend(value);
    }
    let size = (pairs.len() as u64 + 24).to_le_bytes();
    [&size[..], &pairs, &size, b"APK Sig Block 42"].concat()
}
