//! The content digests. Comes in: the archive and where its signing block begins. Goes out: one digest per hash that a
//! signer used: of 1 MiB chunks of contents, directory and end record, then of those.

use aws_lc_rs::digest::{Context, Digest, SHA256, SHA512};

use crate::error::AppFileError;
use crate::progress::Progress;
use crate::zip::Archive;

const CHUNK: u64 = 1 << 20;

/// Which hash a signature algorithm goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    /// Of a signature algorithm's number. `None`: the digest of fs-verity, or an algorithm that is not known here.
    pub(super) const fn of(id: u32) -> Option<Self> {
        match id {
            0x0101 | 0x0103 | 0x0201 | 0x0301 => Some(Self::Sha256),
            0x0102 | 0x0104 | 0x0202 => Some(Self::Sha512),
            _ => None,
        }
    }

    fn context(self) -> Context {
        Context::new(match self {
            Self::Sha256 => &SHA256,
            Self::Sha512 => &SHA512,
        })
    }
}

/// Which are asked for.
#[derive(Clone, Copy, Default)]
pub(super) struct Algorithms {
    sha256: bool,
    sha512: bool,
}

impl Algorithms {
    pub(super) fn with(self, algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self { sha256: true, ..self },
            Algorithm::Sha512 => Self { sha512: true, ..self },
        }
    }
}

/// The digests that were asked for.
pub(super) struct ContentDigests(Vec<(Algorithm, Digest)>);

impl ContentDigests {
    /// Whether the content's digest is `expected`. One that was not made is not equal to anything.
    pub(super) fn is(&self, algorithm: Algorithm, expected: &[u8]) -> bool {
        self.0.iter().any(|(own, digest)| *own == algorithm && digest.as_ref() == expected)
    }
}

pub(super) fn content_digests(
    archive: &Archive<'_>,
    block: u64,
    wanted: Algorithms,
    progress: &Progress<'_>,
) -> Result<ContentDigests, AppFileError> {
    let source = archive.source();
    let directory = archive.directory();
    progress.expect(block + source.len() - directory.start);
    let mut hashes: Vec<Chunks> = Vec::new();
    if wanted.sha256 {
        hashes.push(Chunks::new(Algorithm::Sha256));
    }
    if wanted.sha512 {
        hashes.push(Chunks::new(Algorithm::Sha512));
    }
    for (start, end) in [(0, block), (directory.start, directory.end)] {
        let mut at = start;
        while at < end {
            let next = end.min(at + CHUNK);
            hashes.iter_mut().for_each(|hash| hash.begin(next - at));
            source.stream(at, next, &mut |bytes| {
                hashes.iter_mut().for_each(|hash| hash.update(bytes));
                progress.advance(bytes.len() as u64);
                Ok(())
            })?;
            hashes.iter_mut().for_each(Chunks::end);
            at = next;
        }
    }
    // The end record is signed as if the directory began where the signing block does.
    let mut end = source.take_up_to(directory.end, usize::from(u16::MAX) + 22)?;
    if let (Some(field), Ok(block)) = (end.get_mut(16..20), u32::try_from(block)) {
        field.copy_from_slice(&block.to_le_bytes());
    }
    for hash in &mut hashes {
        hash.begin(end.len() as u64);
        hash.update(&end);
        hash.end();
    }
    progress.advance(end.len() as u64);
    Ok(ContentDigests(hashes.into_iter().map(|hash| (hash.algorithm, hash.finish())).collect()))
}

/// One hash over chunks.
struct Chunks {
    algorithm: Algorithm,
    chunk: Context,
    count: u32,
    digests: Vec<u8>,
}

impl Chunks {
    fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, chunk: algorithm.context(), count: 0, digests: Vec::new() }
    }

    fn begin(&mut self, len: u64) {
        self.chunk = self.algorithm.context();
        self.chunk.update(&[0xa5]);
        // At most `CHUNK`, or an end record.
        self.chunk.update(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn update(&mut self, bytes: &[u8]) {
        self.chunk.update(bytes);
    }

    fn end(&mut self) {
        let chunk = std::mem::replace(&mut self.chunk, self.algorithm.context());
        self.digests.extend_from_slice(chunk.finish().as_ref());
        self.count += 1;
    }

    fn finish(self) -> Digest {
        let mut all = self.algorithm.context();
        all.update(&[0x5a]);
        all.update(&self.count.to_le_bytes());
        all.update(&self.digests);
        all.finish()
    }
}
