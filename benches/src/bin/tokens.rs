//! Tokens that nobody has seen, for measuring what the first sight of one costs.
//!
//! In: how many, an issuer, an audience and the time in seconds since 1970. Out, on the standard output: a JWK Set with
//! a new P-256 key, then one ES256 token a line, valid for a day, each with its own `jti`.
//!
//! usage: bench-tokens COUNT ISSUER AUDIENCE NOW

use std::error::Error;
use std::io::{BufWriter, Write};
use std::time::Duration;

use attest_core::device_key::DeviceId;
use attest_core::random::{Random, SystemRandom};
use attest_core::time::UnixTime;
use attest_core::token::Algorithm;
use attest_core::token::asv::{self, AsvBlock, AsvContext, VerdictKey};
use attest_core::token::issue::{SigningKey, TokenClaims, issue, jti_text};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [count, iss, aud, now] = arguments.as_slice() else {
        return Err("usage: bench-tokens COUNT ISSUER AUDIENCE NOW".into());
    };
    attest_core::install_crypto();
    let key = SigningKey::from_pkcs8("es", Algorithm::ES256, &SigningKey::generate_pkcs8(Algorithm::ES256)?)?;
    let iat = UnixTime::from_secs(now.parse()?);
    let exp = iat.plus(Duration::from_secs(86_400));
    let block = AsvBlock { passed: true, ..AsvBlock::default() };
    let mut out = BufWriter::new(std::io::stdout().lock());
    writeln!(out, "{{\"keys\":[{}]}}", key.public_jwk().ok_or("no public key")?)?;
    for _ in 0..count.parse::<u32>()? {
        let mut jti = [0; 16];
        SystemRandom.fill(&mut jti)?;
        let context = AsvContext { iss, aud, kid: "es", iat, exp };
        let asv = asv::seal(&VerdictKey::new([3; 32]), &jti_text(&jti), context, &block);
        let claims = TokenClaims {
            iss,
            aud,
            iat,
            exp,
            jti,
            did: Some(DeviceId::from_bytes([7; 16])),
            asv: &asv,
            arc: "aaaaaaaaaaaaaaaaaaaaaaaaaa",
            app: None,
            ver: None,
            pay: None,
            cnf_jkt: None,
            ipk: None,
            ip: None,
        };
        writeln!(out, "{}", issue(&claims, &key)?)?;
    }
    out.flush()?;
    Ok(())
}
