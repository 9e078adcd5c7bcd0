use super::*;

fn record(id: &str) -> Record {
    Record::parse(
        format!(
            r#"{{"v":1,"id":"{id}","at":1,"route":"r","policy":"p","generation":1,"verdict":"missing","method":"GET","host":"h","path":"/","network":"192.0.2.0/24","rule":"default","action":"block"}}"#
        )
        .as_bytes(),
    )
    .unwrap()
}

const SECOND: Duration = Duration::from_secs(7);

#[test]
fn the_last_ones_are_found_by_id_and_the_oldest_give_way() {
    let (recorder, _writer) = Recorder::start(None).unwrap();
    assert!(recorder.find("0").is_none());
    let wanted = Wanted { in_memory: true, in_file: false };
    for n in 0..KEPT + 10 {
        recorder.keep(record(&n.to_string()), wanted);
    }
    assert!(recorder.find("9").is_none() && recorder.find("10").is_some());
    assert_eq!(recorder.find(&(KEPT + 9).to_string()).unwrap().id, (KEPT + 9).to_string());
}

#[test]
fn a_flood_costs_few_records_a_second_and_refusals_have_room_of_their_own() {
    let (recorder, _writer) = Recorder::start(None).unwrap();
    let kept = |refusal, steady| (0..10_000).filter(|_| recorder.wants(u64::MAX, refusal, steady).is_some()).count();
    assert_eq!(kept(false, SECOND), PERMITTED as usize);
    assert_eq!(kept(true, SECOND), REFUSED as usize);
    assert_eq!(kept(true, SECOND), 0);
    assert_eq!(kept(true, SECOND + Duration::from_secs(1)), REFUSED as usize, "the next second");
}

#[test]
fn a_device_is_sampled_always_or_never_and_about_the_share_of_them_is() {
    use std::hash::{BuildHasher, RandomState};
    let folder = tempfile::tempdir().unwrap();
    let settings = RecordSettings { file: folder.path().join("r.ndjson"), share: 10_000, max_size: 1 << 20 };
    let (recorder, writer) = Recorder::start(Some(&settings)).unwrap();
    let hasher = RandomState::new();
    let in_file = |n: u32| recorder.wants(hasher.hash_one(n), true, SECOND).is_some_and(|wanted| wanted.in_file);
    let sampled: Vec<u32> = (0..100_000).filter(|n| in_file(*n)).collect();
    // 1 % of 100 000 is 1000, give or take ten standard deviations.
    assert!((690..1_310).contains(&sampled.len()), "{}", sampled.len());
    assert!(sampled.iter().all(|n| in_file(*n)));
    recorder.keep(record("A"), Wanted { in_memory: false, in_file: true });
    assert!(recorder.find("A").is_none() && recorder.writes());
    drop(recorder);
    drop(writer);
    let text = std::fs::read_to_string(&settings.file).unwrap();
    assert_eq!(Record::parse(text.trim_end().as_bytes()).unwrap().id, "A");
}

#[test]
fn all_or_none_are_words_too() {
    assert_eq!(share_of_hashes(0), 0);
    assert_eq!(share_of_hashes(1_000_000), u64::MAX);
    assert!(share_of_hashes(999_999) < u64::MAX);
}

#[test]
fn a_long_path_takes_no_more_memory_than_its_beginning() {
    let (recorder, _writer) = Recorder::start(None).unwrap();
    let mut long = record("L");
    long.path = format!("/{}ä", "x".repeat(LONGEST_PATH - 2));
    recorder.keep(long, Wanted { in_memory: true, in_file: false });
    let kept = recorder.find("L").unwrap();
    assert_eq!(kept.path.len(), LONGEST_PATH - 1, "no character is cut in two");
}
