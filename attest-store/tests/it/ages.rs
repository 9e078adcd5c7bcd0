//! Since when devices are known.

use std::time::Duration;

use attest_store::{AgeReader, MAX_AGES, Seen};

use crate::world::{NOW, device, each_engine, seen};

#[test]
fn a_device_is_as_old_as_its_installation_and_a_stranger_has_no_age() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        let at = |hours: u64| NOW.plus(Duration::from_secs(hours * 3600));
        live.seen(Seen { at: at(0), ..seen(device(1), true) });
        live.refresh();
        live.seen(Seen { at: at(5), renewed_from: Some(device(1)), ..seen(device(2), true) });
        live.seen(Seen { at: at(7), ..seen(device(3), true) });
        live.seen(Seen { at: at(7), ..seen(device(4), false) });
        live.refresh();
        let mut reader = AgeReader::new(&store);
        let found = reader.first_seen(&[1, 2, 3, 4, 5].map(device)).unwrap();
        assert_eq!(found.get(&device(1)), Some(&at(0)));
        assert_eq!(found.get(&device(2)), Some(&at(0)), "a renewed key is as old as the first one");
        assert_eq!(found.get(&device(3)), Some(&at(7)));
        assert_eq!(found.len(), 3, "who never passed, and who never came, is not known");
        assert!(reader.first_seen(&[]).unwrap().is_empty());
        live.close();
    });
}

#[test]
fn one_query_asks_for_no_more_than_so_many() {
    each_engine(|world| {
        let store = world.open();
        let live = store.live().unwrap();
        live.seen(seen(device(200), true));
        live.refresh();
        let mut many: Vec<_> = (0..MAX_AGES).map(|number| device(u8::try_from(number).unwrap())).collect();
        many.push(device(200));
        assert!(AgeReader::new(&store).first_seen(&many).unwrap().is_empty(), "it is beyond the bound");
        many.rotate_right(1);
        assert_eq!(AgeReader::new(&store).first_seen(&many).unwrap().len(), 1);
        live.close();
    });
}
