use super::*;

fn observed(folder: &Path) -> Observed {
    Observed::open(folder, Recorder::start(None).unwrap().0, 2).unwrap()
}

fn count(observed: &Observed, device: &str, now: UnixTime) {
    let seen = Seen {
        route: "shop",
        verdict: Verdict::Attested,
        app: Some("shop"),
        version: Some("3.2"),
        rule: "genuine",
        action: Action::Allow,
        enforced: Action::Allow,
        device: Some(observed.device(device)),
        network: 7,
    };
    observed.stripe().record(hour_of(now), &seen);
}

#[test]
fn what_threads_counted_is_one_and_survives_a_restart_with_its_names() {
    let folder = tempfile::tempdir().unwrap();
    let now = UnixTime::from_secs(1_800_000_000);
    let first = observed(folder.path());
    std::thread::scope(|scope| {
        for n in 0..8 {
            let first = &first;
            scope.spawn(move || (0..100).for_each(|m| count(first, &format!("{n}-{m}"), now)));
        }
    });
    let gathered = first.gathered(now);
    assert_eq!(gathered, first.gathered(now), "gathering takes nothing away");
    first.save(now).unwrap();
    let name = first.device("0-0");
    drop(first);
    let second = observed(folder.path());
    assert_eq!(second.device("0-0"), name);
    assert_eq!(second.gathered(now).to_json(), gathered.to_json());
    // The same devices again are no new ones.
    (0..100).for_each(|m| count(&second, &format!("0-{m}"), now));
    assert_ne!(second.gathered(now).to_json(), gathered.to_json());
}

#[test]
fn damaged_files_begin_anew_and_the_key_is_its_owners_alone() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let now = UnixTime::from_secs(1_800_000_000);
    let first = observed(folder.path());
    count(&first, "a", now);
    first.save(now).unwrap();
    assert_eq!(std::fs::metadata(folder.path().join(KEY)).unwrap().mode() & 0o777, 0o600);
    for name in [KEY, OBSERVATIONS] {
        std::fs::write(folder.path().join(name), "damaged").unwrap();
    }
    let second = observed(folder.path());
    assert_eq!(second.gathered(now).routes().count(), 0);
    assert_ne!(second.device("a"), first.device("a"));
    let third = observed(folder.path());
    assert_eq!(third.device("a"), second.device("a"), "the new key was kept");
}

#[test]
fn a_week_later_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let observed = observed(folder.path());
    let now = UnixTime::from_secs(1_800_000_000);
    count(&observed, "a", now);
    assert_eq!(observed.gathered(now).routes().count(), 1);
    assert_eq!(observed.gathered(now.plus(Duration::from_secs(8 * 86_400))).routes().count(), 0);
}
