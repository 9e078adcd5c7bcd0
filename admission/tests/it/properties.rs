//! Whatever happens in whatever order: never more seats than the limit, none lost, classes strict.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use admission::{Admission, CLASSES, Capacity, Class, Limit, Place, Queues, Seat, Who};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Act {
    Asks { class: usize, client: u64 },
    Leaves(usize),
    Returns(usize),
    Streams(usize),
    Uploads(usize),
    BodyIsIn(usize),
    Answered(usize, u64),
    Refused(usize),
    Reload { limit: u32, reserve: u32 },
    Passes(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let any = 0..32_usize;
    prop_oneof![
        8 => (0..4_usize, 0..6_u64).prop_map(|(class, client)| Act::Asks { class, client }),
        2 => any.clone().prop_map(Act::Leaves),
        6 => any.clone().prop_map(Act::Returns),
        1 => any.clone().prop_map(Act::Streams),
        1 => any.clone().prop_map(Act::Uploads),
        1 => any.clone().prop_map(Act::BodyIsIn),
        2 => (any.clone(), 1..5_000_u64).prop_map(|(at, ms)| Act::Answered(at, ms)),
        1 => any.prop_map(Act::Refused),
        1 => (1..6_u32, 0..4_u32).prop_map(|(limit, reserve)| Act::Reload { limit, reserve }),
        2 => (1..300_u64).prop_map(Act::Passes),
    ]
}

fn capacity(limit: u32, reserve: u32) -> Capacity {
    let queues =
        Queues { deadline: Duration::from_secs(1), length: 6, spare_wait: Duration::from_millis(100), spare_length: 4 };
    Capacity { limit: Limit::Fixed(limit), reserve, queues, streams: 5 }
}

#[derive(Default)]
struct Held {
    seats: Vec<(Class, Seat)>,
    places: Vec<(Class, Place)>,
}

impl Held {
    /// Takes what was granted; whether a class was seated while a higher one waits on.
    fn look(&mut self) -> Result<(), TestCaseError> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut seated = Vec::new();
        let mut waiting = Vec::new();
        for (class, mut place) in std::mem::take(&mut self.places) {
            match Pin::new(&mut place).poll(&mut cx) {
                Poll::Pending => waiting.push((class, place)),
                Poll::Ready(Ok(seat)) => seated.push((class, seat)),
                Poll::Ready(Err(_)) => {}
            }
        }
        for (lower, _) in &seated {
            // Class is in order, highest first.
            prop_assert!(waiting.iter().all(|(class, _)| class >= lower), "{lower:?} was seated before a higher class");
        }
        self.places = waiting;
        self.seats.extend(seated);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn never_more_than_the_limit_and_everything_comes_back(acts in prop::collection::vec(act(), 1..200)) {
        let mut now = Instant::now();
        let mut limit = 3;
        let mut most = 3;
        let house = Admission::new(capacity(3, 1), now, 5);
        let mut held = Held::default();
        for act in acts {
            match act {
                Act::Asks { class, client } => {
                    let class = CLASSES[class];
                    let who = Who { class, client };
                    if let Some(seat) = house.try_enter(who, now) {
                        held.seats.push((class, seat));
                    } else if let Ok(place) = house.line_up(who, now) {
                        held.places.push((class, place));
                    }
                }
                Act::Leaves(at) => if let Some((_, place)) = take(&mut held.places, at) { place.leave(now) },
                Act::Returns(at) => if let Some((_, seat)) = take(&mut held.seats, at) { seat.leave(now) },
                Act::Streams(at) => if let Some((_, seat)) = pick(&mut held.seats, at) { let _ = seat.stream(now); },
                Act::Uploads(at) => if let Some((_, seat)) = pick(&mut held.seats, at) { let _ = seat.upload(now); },
                Act::BodyIsIn(at) => if let Some((_, seat)) = pick(&mut held.seats, at) { seat.body_is_in(now) },
                Act::Answered(at, ms) => if let Some((_, seat)) = pick(&mut held.seats, at) {
                    seat.answered(Duration::from_millis(ms), now);
                },
                Act::Refused(at) => if let Some((_, seat)) = pick(&mut held.seats, at) {
                    seat.refused(Some(Duration::from_secs(60)), now);
                },
                Act::Reload { limit: to, reserve } => {
                    limit = to;
                    house.resize(capacity(to, reserve), now);
                }
                Act::Passes(ms) => now += Duration::from_millis(ms),
            }
            held.look()?;
            // A smaller limit is reached as seats come back.
            most = house.inflight().max(limit).min(most.max(limit));
            prop_assert!(house.inflight() <= most);
            prop_assert_eq!(house.inflight_by_class().iter().sum::<u32>(), house.inflight());
            prop_assert_eq!(house.waiting_by_class().iter().sum::<u32>(), house.waiting());
            prop_assert!(house.streams() <= 5 && house.uploads() <= 4);
            let counted = held.seats.iter().filter(|(_, seat)| seat.is_counted()).count();
            prop_assert_eq!(counted, house.inflight() as usize);
        }
        let Held { seats, places } = held;
        places.into_iter().for_each(|(_, place)| place.leave(now));
        seats.into_iter().for_each(|(_, seat)| seat.leave(now));
        prop_assert_eq!((house.inflight(), house.waiting(), house.streams(), house.uploads()), (0, 0, 0, 0));
        now += Duration::from_secs(60);
        prop_assert!(house.try_enter(Who { class: Class::Unattested, client: 1 }, now).is_some(), "nothing is stuck");
    }

    #[test]
    fn a_free_seat_is_never_kept_from_who_waits(classes in prop::collection::vec((0..4_usize, 0..50_u64), 1..60)) {
        let now = Instant::now();
        let house = Admission::new(Capacity { reserve: 0, ..capacity(2, 0) }, now, 5);
        let mut seats = [Class::Attested; 2].map(|class| house.try_enter(Who { class, client: 0 }, now)).into_iter().flatten().collect::<Vec<_>>();
        let mut waiting: HashMap<Class, u32> = HashMap::new();
        let mut held = Held::default();
        for (class, client) in classes {
            let class = CLASSES[class];
            if let Ok(place) = house.line_up(Who { class, client }, now) {
                held.places.push((class, place));
                *waiting.entry(class).or_default() += 1;
            }
        }
        while house.waiting() > 0 {
            let free = seats.pop().or_else(|| held.seats.pop().map(|(_, seat)| seat)).expect("somebody has a seat");
            free.leave(now);
            held.look()?;
            prop_assert!(house.inflight() == 2 || house.waiting() == 0);
        }
    }
}

fn take<T>(all: &mut Vec<T>, at: usize) -> Option<T> {
    let at = at.checked_rem(all.len())?;
    Some(all.swap_remove(at))
}

fn pick<T>(all: &mut [T], at: usize) -> Option<&mut T> {
    let at = at.checked_rem(all.len())?;
    all.get_mut(at)
}

#[tokio::test(flavor = "multi_thread")]
async fn under_real_threads_seats_come_back_whoever_leaves_when() {
    let house = Admission::new(capacity(3, 1), Instant::now(), 5);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..2_000_u64 {
        let house: Arc<Admission> = house.clone();
        tasks.spawn(async move {
            let who = Who { class: CLASSES[(n % 4) as usize], client: n % 17 };
            let wait = house.enter(who, std::future::pending());
            // Some are dropped in the middle of their wait.
            let patience = Duration::from_micros(if n % 3 == 0 { 50 } else { 5_000_000 });
            if let Ok(Ok(seat)) = tokio::time::timeout(patience, wait).await {
                assert!(house.inflight() <= 3);
                tokio::task::yield_now().await;
                drop(seat);
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert_eq!((house.inflight(), house.waiting()), (0, 0));
}

#[test]
fn a_seat_that_nobody_waits_for_takes_no_memory() {
    let now = Instant::now();
    let house = Admission::new(Capacity::of(Limit::Fixed(50)), now, 5);
    let who = Who { class: Class::Attested, client: 7 };
    let info = allocation_counter::measure(|| {
        for _ in 0..1_000 {
            let mut seat = house.try_enter(who, now).unwrap();
            seat.answered(Duration::from_millis(20), now);
            seat.stream(now).unwrap();
            seat.leave(now);
        }
    });
    assert_eq!(info.count_total, 0);
}
