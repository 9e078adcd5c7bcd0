//! What C hands in. Comes in: pointers and lengths. Goes out: Rust values that own their bytes, or a code.
//! Proven between: no NULL is followed, no length is believed beyond its bound, text is UTF-8.

use std::ffi::c_char;

use crate::code::Code;

/// `assay_bytes`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Bytes {
    /// The first byte; may be NULL where the length is 0.
    pub data: *const u8,
    /// How many.
    pub length: usize,
}

/// Text: NUL-terminated UTF-8 of at most [`MAX_TEXT`] bytes.
///
/// # Safety
/// `text` is NULL, or every byte up to the first NUL (and that one) can be read.
pub(crate) unsafe fn text(text: *const c_char) -> Result<String, Code> {
    if text.is_null() {
        return Err(Code::NullPointer);
    }
    let mut length = 0;
    // SAFETY: the caller says that everything up to the NUL can be read, and the loop ends there at the latest.
    while unsafe { text.add(length).read() } != 0 {
        length += 1;
        if length > MAX_TEXT {
            return Err(Code::TooLong);
        }
    }
    // SAFETY: `length` bytes from `text` were just read, and `u8` is laid out as `c_char`.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length) };
    String::from_utf8(bytes.to_vec()).map_err(|_| Code::NotUtf8)
}

/// At most `most` bytes.
///
/// # Safety
/// `data` is NULL, or `length` bytes from it can be read (and nobody writes them meanwhile).
pub(crate) unsafe fn bytes(data: *const u8, length: usize, most: usize) -> Result<Vec<u8>, Code> {
    match (length, data.is_null()) {
        (0, _) => Ok(Vec::new()),
        (_, true) => Err(Code::NullPointer),
        (length, _) if length > most => Err(Code::TooLong),
        // SAFETY: not NULL, readable for `length` bytes by the caller's word, and far below `isize::MAX`.
        _ => Ok(unsafe { std::slice::from_raw_parts(data, length) }.to_vec()),
    }
}

/// A list of byte strings: at most [`MAX_LIST`] of at most [`MAX_BYTES`] each.
///
/// # Safety
/// `list` is NULL, or `count` of them can be read, each as [`bytes`] wants it.
pub(crate) unsafe fn list(list: *const Bytes, count: usize) -> Result<Vec<Vec<u8>>, Code> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if list.is_null() {
        return Err(Code::NullPointer);
    }
    if count > MAX_LIST {
        return Err(Code::TooLong);
    }
    // SAFETY: not NULL, `count` of them readable by the caller's word; the bound above keeps the size small. Alignment is
    // the caller's compiler's, for an array of this struct.
    let list = unsafe { std::slice::from_raw_parts(list, count) };
    // SAFETY: each entry is as `bytes` wants it, by the caller's word.
    list.iter().map(|one| unsafe { bytes(one.data, one.length, MAX_BYTES) }).collect()
}

/// A handle that must be there.
///
/// # Safety
/// `handle` is NULL, or came from [`Box::into_raw`] of this type and was not freed; nobody writes to it meanwhile.
pub(crate) unsafe fn handle<'a, T>(handle: *const T) -> Result<&'a T, Code> {
    // SAFETY: by the caller's word: NULL, or a live value of this type.
    unsafe { handle.as_ref() }.ok_or(Code::NullPointer)
}

/// Longest text in.
pub(crate) const MAX_TEXT: usize = 4096;
/// Longest bound header value, message or piece of Evidence.
pub(crate) const MAX_BYTES: usize = 64 * 1024;
/// Most headers that one token is bound to.
pub(crate) const MAX_LIST: usize = 16;

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_null_and_what_is_beyond_its_bound() {
        // SAFETY: NULL, or a live C string, or lengths that are refused before the pointer is used.
        unsafe {
            assert_eq!(text(std::ptr::null()), Err(Code::NullPointer));
            let long = CString::new(vec![b'a'; MAX_TEXT + 1]).unwrap();
            assert_eq!(text(long.as_ptr()), Err(Code::TooLong));
            assert_eq!(text(c"\xff".as_ptr()), Err(Code::NotUtf8));
            assert_eq!(bytes(std::ptr::null(), 1, 8), Err(Code::NullPointer));
            assert_eq!(bytes(b"x".as_ptr(), usize::MAX, 8), Err(Code::TooLong));
            assert_eq!(bytes(std::ptr::null(), 0, 8), Ok(Vec::new()));
            assert_eq!(list(std::ptr::null(), 1), Err(Code::NullPointer));
            let one = Bytes { data: std::ptr::null(), length: 0 };
            assert_eq!(list(&raw const one, usize::MAX), Err(Code::TooLong));
            assert_eq!(list(&raw const one, 1), Ok(vec![Vec::new()]));
            assert!(handle::<u8>(std::ptr::null()).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_in_as_it_is_or_is_refused(raw in proptest::collection::vec(1_u8.., 0..MAX_TEXT + 8)) {
            let c = CString::new(raw.clone()).unwrap();
            // SAFETY: a live C string.
            let read = unsafe { text(c.as_ptr()) };
            match (raw.len() > MAX_TEXT, std::str::from_utf8(&raw)) {
                (true, _) => prop_assert_eq!(read, Err(Code::TooLong)),
                (false, Ok(good)) => prop_assert_eq!(read.unwrap(), good),
                (false, Err(_)) => prop_assert_eq!(read, Err(Code::NotUtf8)),
            }
        }

        #[test]
        fn any_bytes_come_in_whole_or_not_at_all(raw in proptest::collection::vec(any::<u8>(), 1..300), most in 0_usize..300) {
            // SAFETY: a live slice and its own length.
            let read = unsafe { bytes(raw.as_ptr(), raw.len(), most) };
            prop_assert_eq!(read.clone().ok(), (raw.len() <= most).then_some(raw), "{:?}", read);
        }
    }
}
