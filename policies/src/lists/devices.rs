//! A list of devices.
//!
//! In: devices as tokens name them (`did`). Out: whether one is among them, by one binary search.

/// Devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Devices(Box<[Box<str>]>);

impl Devices {
    pub(super) fn new(mut devices: Vec<Box<str>>) -> Self {
        devices.sort_unstable();
        devices.dedup();
        Self(devices.into())
    }

    /// Whether `device` is among them. Allocates nothing.
    #[must_use]
    pub fn contains(&self, device: &str) -> bool {
        self.0.binary_search_by(|entry| (**entry).cmp(device)).is_ok()
    }

    /// Whether all of `inner` are among these.
    pub(crate) fn covers(&self, inner: &Self) -> bool {
        inner.0.iter().all(|device| self.contains(device))
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Reads the name of a device: up to 256 visible ASCII characters.
pub(super) fn parse_device(text: &str) -> Result<Box<str>, (String, String)> {
    if text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.into());
    }
    Err((
        format!("`{}` is not the name of a device", text.chars().take(60).collect::<String>()),
        "write it as its token and `assay device list` do: q83vEjRWeJq83vEjRWeJqw==".to_owned(),
    ))
}
