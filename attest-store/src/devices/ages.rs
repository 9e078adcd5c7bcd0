//! In: devices. Out: since when each is known, for the age that tokens tell policies. What is proven: a renewed key is as
//! old as the installation that it belongs to; one query, however many are asked for.

use std::collections::HashMap;

use attest_core::{device_key::DeviceId, time::UnixTime};

use crate::{
    error::StoreError,
    sql::{Connection, Value},
    store::Store,
};

/// Devices that one query asks for at most.
pub const MAX_AGES: usize = 128;

/// Reads since when devices are known, on a connection of its own. Calls block.
pub struct AgeReader {
    store: Store,
    connection: Option<Connection>,
}

impl AgeReader {
    /// A reader of `store`; connects when it is first asked.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        Self { store: store.clone(), connection: None }
    }

    /// When each of `devices` was first seen, of the first [`MAX_AGES`]; nothing for one that is not known.
    ///
    /// # Errors
    /// [`StoreError`]; the next call connects anew.
    pub fn first_seen(&mut self, devices: &[DeviceId]) -> Result<HashMap<DeviceId, UnixTime>, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.store.0.pool.database().connect()?,
        };
        let found = first_seen(&connection, devices)?;
        if connection.is_sound() {
            self.connection = Some(connection);
        }
        Ok(found)
    }
}

fn first_seen(connection: &Connection, devices: &[DeviceId]) -> Result<HashMap<DeviceId, UnixTime>, StoreError> {
    let devices = devices.get(..devices.len().min(MAX_AGES)).unwrap_or_default();
    if devices.is_empty() {
        return Ok(HashMap::new());
    }
    let places: Vec<String> = (1..=devices.len()).map(|place| format!("${place}")).collect();
    let sql = format!(
        "SELECT id, CASE WHEN family IS NULL THEN first_seen ELSE
                (SELECT min(member.first_seen) FROM devices AS member WHERE member.family = devices.family) END
         FROM devices WHERE id IN ({})",
        places.join(", ")
    );
    let values: Vec<Value> = devices.iter().map(|device| Value::from(*device.as_bytes())).collect();
    let rows = connection.read(|tx| tx.rows(&sql, &values))?;
    rows.iter().map(|row| Ok((DeviceId::from_bytes(row.bytes(0)?), row.time(1)?))).collect()
}

impl std::fmt::Debug for AgeReader {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("AgeReader").field("store", &self.store).finish_non_exhaustive()
    }
}
