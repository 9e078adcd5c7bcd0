use attest_core::random::SystemRandom;

use super::*;
use crate::store;

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

struct Bench {
    folder: tempfile::TempDir,
    master: MasterKey,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), master: MasterKey::generate(&SystemRandom).unwrap() }
    }

    fn open_with(&self, master: &MasterKey, algorithm: Algorithm) -> Result<Secrets, SecretsError> {
        let mut connection = store::open(self.folder.path()).unwrap();
        let source = Source { master, master_path: "/etc/assay/kek.key".into(), random: &SystemRandom, now: NOW };
        Secrets::open(&mut connection, "default", algorithm, &source)
    }

    fn open(&self, algorithm: Algorithm) -> Secrets {
        self.open_with(&self.master, algorithm).unwrap()
    }
}

#[test]
fn another_unlock_key_is_refused_by_name() {
    let bench = Bench::new();
    bench.open(Algorithm::HS256);
    let refused = bench.open_with(&MasterKey::generate(&SystemRandom).unwrap(), Algorithm::HS256).unwrap_err();
    assert!(matches!(refused, SecretsError::WrongUnlockKey { .. }));
    assert!(refused.to_string().contains("/etc/assay/kek.key"), "{refused}");
}

#[test]
fn a_box_in_another_ones_place_does_not_open() {
    let bench = Bench::new();
    bench.open(Algorithm::HS256);
    let connection = store::open(bench.folder.path()).unwrap();
    connection
        .execute("UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE name = 'feed') WHERE name = 'arc'", [])
        .unwrap();
    let refused = bench.open_with(&bench.master, Algorithm::HS256).unwrap_err();
    assert!(matches!(refused, SecretsError::Damaged { ref name, .. } if name == "arc"), "{refused}");
}

#[test]
fn secrets_survive_and_none_equals_another() {
    let bench = Bench::new();
    let (first, second) = (bench.open(Algorithm::HS256), bench.open(Algorithm::HS256));
    let all = |secrets: &Secrets| {
        let key = &secrets.signing[0];
        let mut all: Vec<Vec<u8>> =
            [&secrets.challenge, &secrets.arc, &secrets.feed, &secrets.verdict, &secrets.device_salt]
                .map(|secret| secret.to_vec())
                .into();
        all.extend([key.secret.to_vec(), key.decoy.as_ref().unwrap().to_vec()]);
        all
    };
    assert_eq!(all(&first), all(&second));
    assert_eq!(first.signing[0].kid, second.signing[0].kid);
    let distinct: std::collections::BTreeSet<_> = all(&first).into_iter().collect();
    assert_eq!(distinct.len(), 7);
}

#[test]
fn nothing_is_stored_in_the_clear() {
    let bench = Bench::new();
    let secrets = bench.open(Algorithm::HS256);
    let mut stored = Vec::new();
    for entry in std::fs::read_dir(bench.folder.path()).unwrap() {
        stored.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    for secret in [&secrets.feed[..16], &secrets.verdict[..16], &secrets.signing[0].secret[..16]] {
        assert!(!stored.windows(16).any(|window| window == secret));
    }
}

#[test]
fn a_change_of_algorithm_keeps_the_old_key_for_verification_and_comes_back_to_it() {
    let bench = Bench::new();
    let first = bench.open(Algorithm::HS256);
    let changed = bench.open(Algorithm::HS512);
    let states: Vec<_> = changed.signing.iter().map(|key| (key.algorithm, key.active)).collect();
    assert_eq!(states, [(Algorithm::HS512, true), (Algorithm::HS256, false)]);
    let back = bench.open(Algorithm::HS256);
    assert_eq!(back.signing[0].kid, first.signing[0].kid);
    assert!(back.signing[0].active);
}

#[test]
fn hmac_and_p256_keys_never_stand_together() {
    let bench = Bench::new();
    bench.open(Algorithm::HS256);
    let open = bench.open(Algorithm::ES256);
    assert_eq!(open.signing.len(), 1);
    assert!(open.signing[0].decoy.is_none());
}
