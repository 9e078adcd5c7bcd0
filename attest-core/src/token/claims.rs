//! What a token says: its payload, read strictly where a check depends on it.
//!
//! In: the payload's bytes. Out: [`Claims`] whose `exp` is there and is a number, and whose registered claims have
//! their types. Nothing is proven about who said it: that is [`super::verify`].

use std::fmt;

use data_encoding::BASE64;
use serde_json::{Map, Value};

use super::jws::Malformed;
use super::{MAX_TOKEN_BYTES, Reason};
use crate::json::{self, JsonError, Limits};
use crate::time::UnixTime;

/// The claims of a token. Its `Debug` shows none of them.
///
/// Claims without a registered meaning that have an unexpected type count as absent: another issuer may use the name
/// for something else.
#[derive(Clone, PartialEq)]
pub struct Claims {
    exp: UnixTime,
    iat: Option<UnixTime>,
    nbf: Option<UnixTime>,
    iss: Option<Box<str>>,
    aud: Vec<Box<str>>,
    sub: Option<Box<str>>,
    jti: Option<Box<str>>,
    did: Option<Box<str>>,
    app: Option<Box<str>>,
    ver: Option<Box<str>>,
    ip: Option<Box<str>>,
    asv: Option<Box<str>>,
    arc: Option<Box<str>>,
    ipk: Option<Box<str>>,
    pay: Pay,
    has_cnf: bool,
    cnf_jkt: Option<Box<str>>,
    anno: Vec<Box<str>>,
    payload: Box<[u8]>,
}

/// The claim `pay`: what the token is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pay {
    /// Not bound.
    Absent,
    /// There, but no hash: bound to nothing that a request could carry.
    Unreadable,
    /// SHA-256 of what it is bound to.
    Hash([u8; 32]),
}

impl Claims {
    /// Parses a payload.
    ///
    /// # Errors
    /// [`Malformed`] with one of: `payload_not_json`, `duplicate_member`, `number_out_of_range`, `missing_exp`,
    /// `exp_not_a_number`, `exp_not_positive`, `exp_out_of_range`, `iat_not_a_number`, `nbf_not_a_number`,
    /// `iss_not_text`, `aud_not_text`, `sub_not_text`, `jti_not_text`.
    ///
    /// # Source
    /// RFC 7519 section 4.1; `exp` may have a fraction (section 2, NumericDate), as Approov's tokens do.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let limits = Limits { max_bytes: MAX_TOKEN_BYTES, max_depth: 16, max_members: 512 };
        let members = json::parse_object(payload, limits).map_err(|error| {
            Malformed::because(match error {
                JsonError::DuplicateMember => "duplicate_member",
                JsonError::NumberOutOfRange => "number_out_of_range",
                _ => "payload_not_json",
            })
        })?;
        let cnf = members.get("cnf");
        Ok(Self {
            exp: expiry(&members)?,
            iat: moment(&members, "iat", "iat_not_a_number")?,
            nbf: moment(&members, "nbf", "nbf_not_a_number")?,
            iss: registered_text(&members, "iss", "iss_not_text")?,
            aud: audiences(&members)?,
            sub: registered_text(&members, "sub", "sub_not_text")?,
            jti: registered_text(&members, "jti", "jti_not_text")?,
            did: text(members.get("did")),
            app: text(members.get("app")),
            ver: text(members.get("ver")),
            ip: text(members.get("ip")),
            asv: text(members.get("asv")),
            arc: text(members.get("arc")),
            ipk: text(members.get("ipk")),
            pay: pay(members.get("pay")),
            has_cnf: cnf.is_some(),
            cnf_jkt: cnf.and_then(|cnf| text(cnf.get("jkt"))),
            anno: match members.get("anno") {
                Some(Value::Array(flags)) => flags.iter().filter_map(|flag| text(Some(flag))).collect(),
                _ => Vec::new(),
            },
            payload: payload.into(),
        })
    }

    /// When it ends.
    #[must_use]
    pub const fn exp(&self) -> UnixTime {
        self.exp
    }

    /// When it was issued.
    #[must_use]
    pub const fn iat(&self) -> Option<UnixTime> {
        self.iat
    }

    /// When it begins.
    #[must_use]
    pub const fn nbf(&self) -> Option<UnixTime> {
        self.nbf
    }

    /// Who issued it.
    #[must_use]
    pub fn iss(&self) -> Option<&str> {
        self.iss.as_deref()
    }

    /// For whom; empty when it does not say.
    #[must_use]
    pub fn aud(&self) -> &[Box<str>] {
        &self.aud
    }

    /// About whom.
    #[must_use]
    pub fn sub(&self) -> Option<&str> {
        self.sub.as_deref()
    }

    /// Its own identifier.
    #[must_use]
    pub fn jti(&self) -> Option<&str> {
        self.jti.as_deref()
    }

    /// The device, by the name that the issuer gave it.
    #[must_use]
    pub fn did(&self) -> Option<&str> {
        self.did.as_deref()
    }

    /// The app.
    #[must_use]
    pub fn app(&self) -> Option<&str> {
        self.app.as_deref()
    }

    /// The app's version.
    #[must_use]
    pub fn ver(&self) -> Option<&str> {
        self.ver.as_deref()
    }

    /// The address that the issuer saw.
    #[must_use]
    pub fn ip(&self) -> Option<&str> {
        self.ip.as_deref()
    }

    /// The sealed verdict, as text.
    #[must_use]
    pub fn asv(&self) -> Option<&str> {
        self.asv.as_deref()
    }

    /// The support code.
    #[must_use]
    pub fn arc(&self) -> Option<&str> {
        self.arc.as_deref()
    }

    /// What it is bound to.
    #[must_use]
    pub const fn pay(&self) -> Pay {
        self.pay
    }

    /// Whether it names a key of which the sender must prove possession (`cnf` or `ipk`).
    #[must_use]
    pub const fn names_a_key(&self) -> bool {
        self.has_cnf || self.ipk.is_some()
    }

    /// The thumbprint of the key in `cnf` (RFC 7638, RFC 9449 section 6.1).
    #[must_use]
    pub fn cnf_jkt(&self) -> Option<&str> {
        self.cnf_jkt.as_deref()
    }

    /// The installation's public key, base64 of a SubjectPublicKeyInfo (Approov).
    #[must_use]
    pub fn ipk(&self) -> Option<&str> {
        self.ipk.as_deref()
    }

    /// Annotations in clear (Approov).
    #[must_use]
    pub fn anno(&self) -> &[Box<str>] {
        &self.anno
    }

    /// The whole payload, for display.
    #[must_use]
    pub fn as_json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_default()
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Claims(..)")
    }
}

/// 2^53: up to here each second is a double of its own.
const LAST_SECOND: f64 = 9_007_199_254_740_992.0;

fn expiry(members: &Map<String, Value>) -> Result<UnixTime, Malformed> {
    let Some(value) = members.get("exp") else { return Err(Malformed::because("missing_exp")) };
    let Value::Number(number) = value else { return Err(Malformed::because("exp_not_a_number")) };
    match number.as_f64() {
        Some(secs) if secs > LAST_SECOND => Err(Malformed::because("exp_out_of_range")),
        Some(secs) if secs > 0.0 => Ok(from_secs(secs)),
        Some(_) => Err(Malformed::because("exp_not_positive")),
        None => Err(Malformed::because("exp_not_a_number")),
    }
}

fn moment(members: &Map<String, Value>, name: &str, reason: Reason) -> Result<Option<UnixTime>, Malformed> {
    match members.get(name).map(Value::as_f64) {
        None => Ok(None),
        Some(Some(secs)) if (0.0..=LAST_SECOND).contains(&secs) => Ok(Some(from_secs(secs))),
        Some(_) => Err(Malformed::because(reason)),
    }
}

/// Rounded down to the millisecond; `secs` is between 0 and 2^53.
#[allow(
    clippy::cast_possible_truncation,
    reason = "both callers bound secs to 0..=2^53, and 1000 times that is below 2^63"
)]
fn from_secs(secs: f64) -> UnixTime {
    UnixTime::from_millis((secs.trunc() as i64).saturating_mul(1_000).saturating_add((secs.fract() * 1_000.0) as i64))
}

fn text(value: Option<&Value>) -> Option<Box<str>> {
    value.and_then(Value::as_str).map(Box::from)
}

fn registered_text(members: &Map<String, Value>, name: &str, reason: Reason) -> Result<Option<Box<str>>, Malformed> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str().into())),
        Some(_) => Err(Malformed::because(reason)),
    }
}

fn audiences(members: &Map<String, Value>) -> Result<Vec<Box<str>>, Malformed> {
    let one = |value: &Value| value.as_str().map(Box::from);
    let audiences = match members.get("aud") {
        None => Some(Vec::new()),
        Some(Value::Array(several)) => several.iter().map(one).collect(),
        Some(value) => one(value).map(|only| vec![only]),
    };
    audiences.ok_or(Malformed::because("aud_not_text"))
}

fn pay(value: Option<&Value>) -> Pay {
    match value {
        None => Pay::Absent,
        Some(value) => {
            let hash = value.as_str().and_then(|text| BASE64.decode(text.as_bytes()).ok());
            hash.and_then(|hash| hash.try_into().ok()).map_or(Pay::Unreadable, Pay::Hash)
        }
    }
}

#[cfg(test)]
mod tests;
