//! Attacks: challenges that come back. Input: seconds that passed, seconds of life, then raw bytes or changes to a genuine
//! challenge.
//!
//! Holds: one that verifies is, byte for byte, the one that was issued; and it is neither too old nor from tomorrow.
#![no_main]

use std::time::Duration;

use assay_fuzz::edited;
use attest_core::challenge::{Challenge, ChallengeKey};
use attest_core::time::UnixTime;
use libfuzzer_sys::fuzz_target;

const EPOCH: [u8; 8] = *b"an epoch";
const KEY_SET: &str = "default";
const ISSUED: UnixTime = UnixTime::from_secs(1_700_000_000);

fuzz_target!(|data: &[u8]| {
    let Some(([mode, rest @ ..], data)) = data.split_first_chunk::<9>() else { return };
    let [passed, life] =
        [&rest[..4], &rest[4..]].map(|half| half.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte)));
    let key = ChallengeKey::new(&[5; 32]);
    let genuine = Challenge::issue([1; 16], EPOCH, KEY_SET, ISSUED, &key);
    let bytes = if mode % 2 == 0 { data.to_vec() } else { edited(genuine.as_bytes(), data) };
    let Ok(challenge) = Challenge::from_bytes(&bytes) else { return };

    let now = if mode & 2 == 0 {
        ISSUED.plus(Duration::from_secs(passed.into()))
    } else {
        ISSUED.minus(Duration::from_secs(passed.into()))
    };
    let life = Duration::from_secs(life.into());
    for (epoch, key_set) in [(EPOCH, KEY_SET), ([0; 8], KEY_SET), (EPOCH, "other")] {
        let Ok(verified) = challenge.verify(&key, key_set, epoch, now, life) else { continue };
        assert!(challenge.as_bytes() == genuine.as_bytes() && epoch == EPOCH && key_set == KEY_SET);
        assert_eq!((verified.nonce(), verified.issued()), (&[1; 16], ISSUED));
        assert!(now <= ISSUED.plus(life) && now >= ISSUED.minus(Duration::from_secs(60)));
    }
});
