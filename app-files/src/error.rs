//! Why a file can't be registered. Each message says what is wrong and, where there is one, the way out.

use attest_core::measurement::ElfError;

/// Why the file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppFileError {
    /// The file, or a library beside it, can't be read.
    #[error("cannot read {what}: {problem}")]
    Read {
        /// Which file.
        what: String,
        /// What the system said.
        problem: std::io::Error,
    },
    /// More bytes than are read.
    #[error("{what} is larger than {most} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// The bound, in bytes.
        most: u64,
    },
    /// Neither a program nor an archive with an app in it.
    #[error("not an app: register the build's 64-bit ELF program, its APK or its IPA, not a script or another archive")]
    NotAnApp,
    /// An Android App Bundle.
    #[error(
        "an Android App Bundle: no device runs it, the store makes APKs of it and signs them. \
         Register the universal APK that the store signed (Play Console, App bundle explorer, Downloads)"
    )]
    AppBundle,
    /// Several APKs in one archive (`.apks`, `.xapk`, `.apkm`).
    #[error("an archive of split APKs: register the universal APK of the same build")]
    SplitApks,
    /// The program or a library can't be measured.
    #[error("{what} can't be measured: {problem}")]
    Elf {
        /// The program (`the program`) or the library's name.
        what: String,
        /// Why not.
        problem: ElfError,
    },
    /// A library's name that can't be one, or one that was named twice.
    #[error("library {name:?}: {problem}")]
    LibraryName {
        /// As it was given.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A library that was named and is not there.
    #[error("no library {name}: {place} is not there; name another file with NAME=PATH, or check the spelling")]
    LibraryMissing {
        /// The library.
        name: String,
        /// Where it was looked for.
        place: String,
    },
    /// Not an archive that every reader would read alike.
    #[error("not a sound archive: {0}")]
    Archive(&'static str),
    /// An entry that is not what the archive says of it.
    #[error("entry {name} of the archive: {problem}")]
    Entry {
        /// The entry.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// `AndroidManifest.xml`.
    #[error("AndroidManifest.xml: {0}")]
    Manifest(&'static str),
    /// Signed by the oldest scheme alone, which leaves most of the file unsigned.
    #[error(
        "signed with scheme v1 only (JAR), which does not cover the whole file: sign with v2 or v3 \
         (apksigner sign --v2-signing-enabled true; minSdkVersion 24 or later does so by itself)"
    )]
    OnlyV1,
    /// No signature at all.
    #[error("not signed: sign it with apksigner (scheme v2 or v3)")]
    Unsigned,
    /// A signing block that does not hold.
    #[error("signature scheme {scheme}: {problem}")]
    Signature {
        /// `v2`, `v3`, `v3.1`, or `block` for the block around them.
        scheme: &'static str,
        /// What is wrong.
        problem: SignatureProblem,
    },
    /// The app's `Info.plist`, or the profile inside.
    #[error("{what}: {problem}")]
    Ios {
        /// Which file of the app.
        what: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// What is wrong with the signature of an APK.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureProblem {
    /// Lengths that do not fit, or something twice.
    #[error("malformed")]
    Malformed,
    /// No signer, or more than ten.
    #[error("no signer, or too many")]
    Signers,
    /// The signature was made with an algorithm that is not checked here.
    #[error(
        "signed with no algorithm that can be checked (RSA of 2048 bits or more, or ECDSA, with SHA-256 or SHA-512)"
    )]
    Algorithm,
    /// The algorithms that sign and those whose digests are signed differ.
    #[error("the signed digests are not those of the signatures")]
    Digests,
    /// The certificate can't be read, or is of another key.
    #[error("the certificate is not that of the key that signed")]
    Certificate,
    /// The signature is not the key's.
    #[error("the signature is not genuine")]
    Forged,
    /// The signed digest is not the file's.
    #[error("the file was changed after it was signed")]
    Changed,
    /// A newer scheme's signature was there, and was taken away or exchanged.
    #[error("its signer says that a newer scheme signs this file too, and that signature is not there")]
    Stripped,
}
