//! The APK Signing Block. Comes in: the archive. Goes out: the SHA-256 of each certificate that signed it.
//! Proven between: every block of scheme v2, v3 and v3.1 that is there holds, signatures and content alike; a block
//! that Android would take instead of the one that was looked at can't be there twice. A newer scheme's block that was
//! taken away shows. An older one's does not: what is left is still signed, by its own signers alone.
//!
//! Source: Android documentation, "APK Signature Scheme v2", "v3", "v3.1".

use super::digest::{Algorithms, content_digests};
use super::signers::{self, Scheme, Signer};
use crate::error::{AppFileError, SignatureProblem};
use crate::progress::Progress;
use crate::zip::{Archive, u32_at, u64_at};

const MAGIC: &[u8] = b"APK Sig Block 42";
/// Size and magic at the block's end.
const FOOTER_BYTES: u64 = 24;
const MAX_BLOCK: u64 = 16 << 20;

/// Verifies the file, and says who signed it: the newest scheme's signers first.
pub(super) fn verify(archive: &Archive<'_>, progress: &Progress<'_>) -> Result<Vec<[u8; 32]>, AppFileError> {
    let Some(block) = find(archive)? else { return Err(unsigned(archive)) };
    let mut blocks: [(Scheme, Option<&[u8]>); 3] = [(Scheme::V31, None), (Scheme::V3, None), (Scheme::V2, None)];
    let malformed = |scheme: &'static str| AppFileError::Signature { scheme, problem: SignatureProblem::Malformed };
    let mut rest = block.pairs.as_slice();
    while !rest.is_empty() {
        let len = u64_at(rest, 0).and_then(|len| usize::try_from(len).ok()).ok_or(malformed("block"))?;
        let pair = rest.get(8..).and_then(|rest| rest.get(..len)).ok_or(malformed("block"))?;
        let id = u32_at(pair, 0).ok_or(malformed("block"))?;
        if let Some((scheme, value)) = blocks.iter_mut().find(|(scheme, _)| scheme.id() == id)
            && value.replace(pair.get(4..).unwrap_or_default()).is_some()
        {
            return Err(malformed(scheme.as_str()));
        }
        rest = rest.get(8 + len..).unwrap_or_default();
    }
    let mut signers = Vec::new();
    for (scheme, value) in &blocks {
        let Some(value) = value else { continue };
        let refused = |problem| AppFileError::Signature { scheme: scheme.as_str(), problem };
        signers.extend(signers::parse_and_verify(value, *scheme).map_err(refused)?);
    }
    let has = |scheme| blocks.iter().any(|(other, value)| *other == scheme && value.is_some());
    if signers.is_empty() {
        return Err(unsigned(archive));
    }
    // A newer scheme is told of in the older one's signed part, so that taking it away shows.
    let v3_was_there = has(Scheme::V31) || signers.iter().any(|signer: &Signer| signer.says_v3);
    if v3_was_there && !has(Scheme::V3) {
        return Err(AppFileError::Signature { scheme: "v2", problem: SignatureProblem::Stripped });
    }
    let v31 = signers.iter().filter(|signer| signer.scheme == Scheme::V31);
    let v31_from = v31.map(|signer| signer.from_version).min();
    if signers.iter().any(|signer| signer.says_v31_from.is_some() && signer.says_v31_from != v31_from) {
        return Err(AppFileError::Signature { scheme: "v3", problem: SignatureProblem::Stripped });
    }
    let signed = signers.iter().flat_map(|signer| &signer.digests);
    let wanted = signed.fold(Algorithms::default(), |all, (one, _)| all.with(*one));
    let digests = content_digests(archive, block.start, wanted, progress)?;
    for signer in &signers {
        if !signer.digests.iter().all(|(algorithm, digest)| digests.is(*algorithm, digest)) {
            return Err(AppFileError::Signature { scheme: signer.scheme.as_str(), problem: SignatureProblem::Changed });
        }
    }
    let mut certificates = Vec::new();
    for signer in signers {
        if !certificates.contains(&signer.certificate) {
            certificates.push(signer.certificate);
        }
    }
    Ok(certificates)
}

/// Where the block begins, and its pairs.
struct Block {
    start: u64,
    pairs: Vec<u8>,
}

/// The block between the last entry and the directory. `None`: there is none.
fn find(archive: &Archive<'_>) -> Result<Option<Block>, AppFileError> {
    let malformed = || AppFileError::Signature { scheme: "block", problem: SignatureProblem::Malformed };
    let (contents_end, directory) = (archive.contents_end(), archive.directory().start);
    if directory - contents_end < FOOTER_BYTES + 8 {
        return Ok(None);
    }
    let footer = archive.source().take(directory - FOOTER_BYTES, 24)?;
    if footer.get(8..) != Some(MAGIC) {
        return Ok(None);
    }
    // The size counts all but itself where it stands first.
    let size = u64_at(&footer, 0).filter(|size| (FOOTER_BYTES..MAX_BLOCK).contains(size)).ok_or_else(malformed)?;
    let start = directory.checked_sub(size + 8).filter(|start| *start >= contents_end).ok_or_else(malformed)?;
    let head = archive.source().take(start, 8)?;
    if u64_at(&head, 0) != Some(size) {
        return Err(malformed());
    }
    // What lies before it is padding; it is signed with the contents.
    archive.source().stream(contents_end, start, &mut |bytes| {
        if bytes.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(malformed()) }
    })?;
    let pairs = archive.source().take(start + 8, usize::try_from(size - FOOTER_BYTES).unwrap_or(0))?;
    Ok(Some(Block { start, pairs }))
}

fn unsigned(archive: &Archive<'_>) -> AppFileError {
    let is_v1 = |name: &str| {
        name.strip_prefix("META-INF/").is_some_and(|name| [".RSA", ".DSA", ".EC"].iter().any(|end| name.ends_with(end)))
    };
    if archive.entries().iter().any(|entry| is_v1(&entry.name)) { AppFileError::OnlyV1 } else { AppFileError::Unsigned }
}
