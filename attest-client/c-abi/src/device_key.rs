//! The device key over the ABI. Comes in: an app's functions for a key in hardware, or the SDK's own file. Goes out:
//! signatures, and a key renewed.
//! Proven between: what the app's functions write stays within its room, and has one of the forms that keystores give.

use std::ffi::c_void;
use std::path::PathBuf;

use attest_client::device_key::{DeviceKeyError, format};
use attest_client::{DeviceKey, FetchError, SoftwareKey};

use crate::callback::{ReleaseFn, User, is_inside};
use crate::client::AssayClient;
use crate::code::Code;
use crate::guard::guard;
use crate::input;
use crate::outcome::AssayOutcome;

/// `assay_public_key_fn`.
pub type PublicKeyFn = unsafe extern "C-unwind" fn(user: *mut c_void, out: *mut u8, length: *mut usize) -> i32;
/// `assay_sign_fn`.
pub type SignFn = unsafe extern "C-unwind" fn(
    user: *mut c_void,
    message: *const u8,
    length: usize,
    out: *mut u8,
    out_length: *mut usize,
) -> i32;

/// A key that the app's functions hold.
pub(crate) struct HardwareKey {
    pub(crate) public_key: PublicKeyFn,
    pub(crate) sign: SignFn,
    pub(crate) user: User,
}

impl DeviceKey for HardwareKey {
    fn public_key(&self) -> Result<[u8; 65], DeviceKeyError> {
        let written = self.ask(|user, out, length| {
            // SAFETY: the app's function, its pointer (not released before `self` is dropped), and room for 128 bytes.
            unsafe { (self.public_key)(user, out, length) }
        })?;
        format::public_key(&written).ok_or_else(|| unusable("its public key is neither a point nor an SPKI of P-256"))
    }

    fn sign(&self, transcript: &[u8; 32]) -> Result<[u8; 64], DeviceKeyError> {
        self.sign_message(transcript)
    }

    fn sign_message(&self, message: &[u8]) -> Result<[u8; 64], DeviceKeyError> {
        let written = self.ask(|user, out, length| {
            // SAFETY: as above; `message` lives until the call returns.
            unsafe { (self.sign)(user, message.as_ptr(), message.len(), out, length) }
        })?;
        format::signature(&written).ok_or_else(|| unusable("its signature is neither r || s nor DER"))
    }
}

impl HardwareKey {
    fn ask(&self, call: impl FnOnce(*mut c_void, *mut u8, *mut usize) -> i32) -> Result<Vec<u8>, DeviceKeyError> {
        let (mut out, mut length) = ([0_u8; ROOM], 0_usize);
        match self.user.call(|user| call(user, out.as_mut_ptr(), &raw mut length)) {
            None => Err(unusable("its callback failed")),
            Some(0) => out.get(..length).map(<[u8]>::to_vec).ok_or_else(|| unusable("its callback wrote too much")),
            Some(code) => Err(unusable(&format!("its callback returned {code}"))),
        }
    }
}

fn unusable(what: &str) -> DeviceKeyError {
    DeviceKeyError::Unusable(what.to_owned())
}

/// The file of the key in the folder that the app set.
pub(crate) fn in_storage(folder: &str) -> PathBuf {
    PathBuf::from(folder).join("device.key")
}

/// A new key in storage in place of the old one.
///
/// # Safety
/// `client` is NULL or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_rotate_device_key(client: *const AssayClient) -> *mut AssayOutcome {
    let rotate = || {
        // SAFETY: passed on from the caller's promise.
        let client = unsafe { waiting(client) }?;
        let file = client.key_file.as_ref().ok_or_else(|| fault("there is no storage to keep a new key in"))?;
        let next = SoftwareKey::renewal_of(file).map_err(|problem| FetchError::DeviceKey(problem.to_string()))?;
        client.client.rotate_device_key(next)
    };
    guard(AssayOutcome::panicked, || AssayOutcome::new(rotate())).into_handle()
}

/// A new key in hardware in place of the old one.
///
/// # Safety
/// `client` is NULL or alive; the functions are NULL or as their types say, and may be called with `user` from any thread
/// until `release`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_rotate_device_key_to(
    client: *const AssayClient,
    public_key: Option<PublicKeyFn>,
    sign: Option<SignFn>,
    release: ReleaseFn,
    user: *mut c_void,
) -> *mut AssayOutcome {
    let rotate = || {
        // First, so that it is released on every way out.
        let user = User::new(user, release);
        // SAFETY: passed on from the caller's promise.
        let client = unsafe { waiting(client) }?;
        let (Some(public_key), Some(sign)) = (public_key, sign) else { return Err(fault("a function is NULL")) };
        client.client.rotate_device_key(HardwareKey { public_key, sign, user })
    };
    guard(AssayOutcome::panicked, || AssayOutcome::new(rotate())).into_handle()
}

/// The device's public key into `out`, 65 bytes.
///
/// # Safety
/// `client` is NULL or alive; `out` is NULL or has room for 65 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_device_public_key(client: *const AssayClient, out: *mut u8) -> i32 {
    // SAFETY: passed on from the caller's promise.
    let key = || unsafe { input::handle(client) }?.client.client().device_public_key().map_err(|_| Code::KeyFailed);
    // SAFETY: as above.
    guard(|| Code::Panicked, || unsafe { give(key, out) }).number()
}

/// The device key's signature over `message` into `out`, 64 bytes.
///
/// # Safety
/// `client` is NULL or alive; `message` is NULL or has `length` bytes; `out` is NULL or has room for 64 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn assay_sign(
    client: *const AssayClient,
    message: *const u8,
    length: usize,
    out: *mut u8,
) -> i32 {
    let sign = || {
        // SAFETY: passed on from the caller's promise.
        let (client, message) = unsafe { (input::handle(client)?, input::bytes(message, length, input::MAX_BYTES)?) };
        client.client.client().sign(&message).map_err(|problem| match problem {
            DeviceKeyError::TooShort => Code::BadValue,
            _ => Code::KeyFailed,
        })
    };
    // SAFETY: as above.
    guard(|| Code::Panicked, || unsafe { give(sign, out) }).number()
}

/// Writes what `make` gives to `out`.
///
/// # Safety
/// `out` is NULL or has room for `N` bytes.
unsafe fn give<const N: usize>(make: impl FnOnce() -> Result<[u8; N], Code>, out: *mut u8) -> Code {
    if out.is_null() {
        return Code::NullPointer;
    }
    match make() {
        // SAFETY: not NULL, room for `N` bytes by the caller's word, and bytes need no alignment.
        Ok(made) => unsafe { out.cast::<[u8; N]>().write_unaligned(made) },
        Err(code) => return code,
    }
    Code::Ok
}

/// The client, where waiting for it cannot be waiting for this thread.
///
/// # Safety
/// `client` is NULL or alive.
pub(crate) unsafe fn waiting<'a>(client: *const AssayClient) -> Result<&'a AssayClient, FetchError> {
    if is_inside() {
        return Err(fault("called inside a callback, where waiting could be for ever"));
    }
    // SAFETY: passed on from the caller's promise.
    unsafe { input::handle(client) }.map_err(|_| fault("the client is NULL"))
}

pub(crate) fn fault(what: &str) -> FetchError {
    FetchError::Misuse(what.to_owned())
}

/// What the header promises to the app's functions.
const ROOM: usize = 128;
