//! Settings over the ABI. Comes in: an app's strings and functions. Goes out: a client.
//! Proven between: each setting is read and checked before it is kept; a builder makes one client.

mod build;

use std::ffi::{c_char, c_void};
use std::path::PathBuf;
use std::time::Duration;

use attest_client::{Builder, Client, Retry};

use crate::callback::{ReleaseFn, User};
use crate::code::{self, Code};
use crate::device_key::{HardwareKey, PublicKeyFn, SignFn, in_storage};
use crate::evidence::{AvailableFn, EvidenceFn, Patience, Platform};
use crate::guard::guard;
use crate::input;
use crate::input::text;

pub use self::build::assay_client_new;

/// `assay_builder`.
pub struct AssayBuilder {
    /// `None` once it has made its client.
    builder: Option<Builder>,
    key_file: Option<PathBuf>,
    has_key: bool,
    patience: Patience,
}

impl AssayBuilder {
    fn set(&mut self, change: impl FnOnce(Builder) -> Builder) -> Result<(), Code> {
        let builder = self.builder.take().ok_or(Code::Spent)?;
        self.builder = Some(change(builder));
        Ok(())
    }

    /// One key: in storage or in hardware.
    fn takes_a_key(&mut self) -> Result<(), Code> {
        if self.builder.is_none() {
            return Err(Code::Spent);
        }
        if std::mem::replace(&mut self.has_key, true) { Err(Code::BadValue) } else { Ok(()) }
    }
}

/// Reads the builder, then does `change` to it.
///
/// # Safety
/// `builder` is NULL, or alive and nobody else's meanwhile.
unsafe fn with(builder: *mut AssayBuilder, change: impl FnOnce(&mut AssayBuilder) -> Result<(), Code>) -> i32 {
    // SAFETY: passed on from the caller's promise.
    let changed = || unsafe { builder.as_mut() }.ok_or(Code::NullPointer).and_then(change);
    guard(|| Err(Code::Panicked), changed).err().unwrap_or(Code::Ok).number()
}

/// A builder for an app of a service.
///
/// # Safety
/// Strings are NULL or NUL-terminated; `builder` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_builder_new(
    service_url: *const c_char,
    app: *const c_char,
    version: *const c_char,
    builder: *mut *mut AssayBuilder,
) -> i32 {
    let make = || {
        if builder.is_null() {
            return Err(Code::NullPointer);
        }
        // SAFETY: passed on from the caller's promise.
        let (url, app, version) = unsafe { (text(service_url)?, text(app)?, text(version)?) };
        let patience = Patience::new(Retry::default().within);
        let made = AssayBuilder {
            builder: Some(Client::builder(url, app, version)),
            key_file: None,
            has_key: false,
            patience,
        };
        // SAFETY: not NULL, writable by the caller's word.
        unsafe { builder.write(Box::into_raw(Box::new(made))) };
        Ok(())
    };
    guard(|| Err(Code::Panicked), make).err().unwrap_or(Code::Ok).number()
}

/// Frees a builder, spent or not.
///
/// # Safety
/// `builder` is NULL, or was given out and not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_builder_free(builder: *mut AssayBuilder) {
    let free = || {
        if !builder.is_null() {
            // SAFETY: it came out of `Box::into_raw`, and the caller gives it back for the first time.
            drop(unsafe { Box::from_raw(builder) });
        }
    };
    guard(|| (), free);
}

/// The build's label.
///
/// # Safety
/// `builder` is NULL, or alive and nobody else's meanwhile; `label` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_builder_build_label(builder: *mut AssayBuilder, label: *const c_char) -> i32 {
    // SAFETY: passed on from the caller's promise.
    unsafe {
        with(builder, |builder| {
            let label = text(label)?;
            builder.set(|builder| builder.build_label(label))
        })
    }
}

/// A fact about the device.
///
/// # Safety
/// As [`assay_builder_build_label`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_builder_device_fact(
    builder: *mut AssayBuilder,
    name: *const c_char,
    value: *const c_char,
) -> i32 {
    // SAFETY: passed on from the caller's promise.
    unsafe {
        with(builder, |builder| {
            let (name, value) = (text(name)?, text(value)?);
            builder.set(|builder| builder.device_fact(name, value))
        })
    }
}

/// The folder that the device key lives in.
///
/// # Safety
/// As [`assay_builder_build_label`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_builder_storage(builder: *mut AssayBuilder, folder: *const c_char) -> i32 {
    // SAFETY: passed on from the caller's promise.
    unsafe {
        with(builder, |builder| {
            let folder = text(folder)?;
            builder.takes_a_key()?;
            builder.key_file = Some(in_storage(&folder));
            Ok(())
        })
    }
}

/// A device key in hardware.
///
/// # Safety
/// `builder` as above; the functions are NULL or as their types say, and may be called with `user` from any thread until
/// `release`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_builder_device_key(
    builder: *mut AssayBuilder,
    public_key: Option<PublicKeyFn>,
    sign: Option<SignFn>,
    release: ReleaseFn,
    user: *mut c_void,
) -> i32 {
    let (Some(public_key), Some(sign)) = (public_key, sign) else { return Code::NullPointer.number() };
    let set = |builder: &mut AssayBuilder| {
        builder.takes_a_key()?;
        let key = HardwareKey { public_key, sign, user: User::new(user, release) };
        builder.set(|builder| builder.device_key(key))
    };
    // SAFETY: passed on from the caller's promise.
    unsafe { with(builder, set) }
}

/// A library that is measured too.
///
/// # Safety
/// As [`assay_builder_build_label`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_builder_measure_library(builder: *mut AssayBuilder, name: *const c_char) -> i32 {
    // SAFETY: passed on from the caller's promise.
    unsafe {
        with(builder, |builder| {
            let name = text(name)?;
            builder.set(|builder| builder.measure_library(name))
        })
    }
}

/// A platform's Evidence.
///
/// # Safety
/// As [`assay_builder_device_key`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_builder_evidence(
    builder: *mut AssayBuilder,
    kind: i32,
    available: AvailableFn,
    evidence: Option<EvidenceFn>,
    release: ReleaseFn,
    user: *mut c_void,
) -> i32 {
    let set = |builder: &mut AssayBuilder| {
        let evidence = evidence.ok_or(Code::NullPointer)?;
        let kind = code::evidence_kind(kind).ok_or(Code::BadValue)?;
        if builder.builder.is_none() {
            return Err(Code::Spent);
        }
        let patience = builder.patience.clone();
        let platform = Platform { kind, available, evidence, user: User::new(user, release), patience };
        builder.set(|builder| builder.evidence(platform))
    };
    // SAFETY: passed on from the caller's promise.
    unsafe { with(builder, set) }
}

/// The only certificates to trust.
///
/// # Safety
/// `builder` as above; `pem` is NULL or has `length` bytes that can be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_builder_trust_only(builder: *mut AssayBuilder, pem: *const u8, length: usize) -> i32 {
    // SAFETY: passed on from the caller's promise.
    unsafe {
        with(builder, |builder| {
            let pem = input::bytes(pem, length, MAX_PEM)?;
            builder.set(|builder| builder.trust_only(pem))
        })
    }
}

/// Bounds of time.
///
/// # Safety
/// `builder` is NULL, or alive and nobody else's meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_builder_timeouts(builder: *mut AssayBuilder, request_ms: u32, fetch_ms: u32) -> i32 {
    let set = |builder: &mut AssayBuilder| {
        if [request_ms, fetch_ms].iter().any(|time| !(1..=MAX_TIMEOUT_MS).contains(time)) {
            return Err(Code::BadValue);
        }
        let (request, fetch) = (Duration::from_millis(request_ms.into()), Duration::from_millis(fetch_ms.into()));
        builder.patience.set(fetch);
        builder.set(|builder| builder.request_timeout(request).retry(Retry { within: fetch, ..Retry::default() }))
    };
    // SAFETY: passed on from the caller's promise.
    unsafe { with(builder, set) }
}

/// Plain `http` to another machine.
///
/// # Safety
/// `builder` is NULL, or alive and nobody else's meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_builder_danger_plaintext(builder: *mut AssayBuilder) -> i32 {
    // SAFETY: passed on from the caller's promise.
    unsafe { with(builder, |builder| builder.set(Builder::danger_plaintext)) }
}

const MAX_PEM: usize = 1024 * 1024;
const MAX_TIMEOUT_MS: u32 = 600_000;
