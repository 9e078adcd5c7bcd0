use super::*;
use crate::CLASSES;
use crate::capacity::{Limit, Queues};
use std::future::pending;

fn house(limit: u32, reserve: u32, length: u32) -> Arc<Admission> {
    let queues = Queues {
        deadline: Duration::from_secs(1),
        length,
        spare_wait: Duration::from_millis(100),
        spare_length: length,
    };
    Admission::new(Capacity { limit: Limit::Fixed(limit), reserve, queues, streams: 4 }, now(), 1)
}

fn who(class: Class) -> Who {
    Who { class, client: 1 }
}

impl Admission {
    fn try_now(self: &Arc<Self>, class: Class) -> Option<Seat> {
        self.try_enter(who(class), now())
    }
}

#[tokio::test(start_paused = true)]
async fn refuses_spare_traffic_the_reserve() {
    let house = house(3, 1, 4);
    let _one = house.try_now(Class::Unattested).unwrap();
    let _two = house.try_now(Class::Unattested).unwrap();
    assert!(house.try_now(Class::Unattested).is_none());
    assert!(house.try_now(Class::Partial).is_none());
    assert!(house.try_now(Class::Attested).is_some());
}

#[tokio::test(start_paused = true)]
async fn refuses_a_spare_request_after_100_ms_and_an_attested_one_after_its_deadline() {
    let house = house(1, 0, 4);
    let _seat = house.try_now(Class::Attested).unwrap();
    let start = now();
    assert_eq!(house.enter(who(Class::Unattested), pending()).await.unwrap_err(), Shed::Deadline);
    assert_eq!(now() - start, Duration::from_millis(100));
    assert_eq!(house.enter(who(Class::Attested), pending()).await.unwrap_err(), Shed::Deadline);
    assert_eq!(now() - start, Duration::from_millis(1_100));
    assert_eq!(house.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_attested_request_that_cannot_be_served_in_time_leaves_at_once() {
    let house = house(1, 0, 100);
    let mut seat = house.try_now(Class::Attested).unwrap();
    let mut places = Vec::new();
    for client in 0..20 {
        places.push(house.line_up(Who { class: Class::Attested, client }, now()).unwrap());
    }
    // One each 200 ms: of the fifteen left the last would wait for three seconds.
    for place in places.drain(..5).collect::<Vec<_>>() {
        tokio::time::sleep(Duration::from_millis(200)).await;
        seat.leave(now());
        seat = place.await.unwrap();
    }
    let start = now();
    assert_eq!(house.enter(who(Class::Attested), pending()).await.unwrap_err(), Shed::TooLong);
    assert_eq!(now(), start);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_frees_its_place() {
    let house = house(1, 0, 1);
    let seat = house.try_now(Class::Attested).unwrap();
    let gone = house.enter(who(Class::Attested), async {}).await;
    assert_eq!(gone.unwrap_err(), Shed::ClientLeft);
    assert_eq!(house.waiting(), 0);
    drop(seat);
    assert!(house.try_now(Class::Attested).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_dropped_leaves_the_queue_and_a_seat_granted_to_it_goes_on() {
    let house = house(1, 0, 4);
    let seat = house.try_now(Class::Attested).unwrap();
    let dropped = house.line_up(who(Class::Attested), now()).unwrap();
    let next = house.line_up(Who { class: Class::Attested, client: 2 }, now()).unwrap();
    drop(seat);
    assert_eq!((house.inflight(), house.waiting()), (1, 1), "granted and not yet read");
    drop(dropped);
    drop(next.await.unwrap());
    assert_eq!((house.inflight(), house.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_upper_queue_turns_the_newcomer_away_a_full_spare_queue_its_oldest() {
    let house = house(1, 0, 1);
    let seat = house.try_now(Class::Attested).unwrap();
    let first = house.line_up(who(Class::Attested), now()).unwrap();
    assert_eq!(house.line_up(who(Class::Attested), now()).unwrap_err(), Shed::Full);
    drop(seat);
    let seat = first.await.unwrap();

    let older = house.line_up(who(Class::Unattested), now()).unwrap();
    let newer = house.line_up(who(Class::Unattested), now()).unwrap();
    assert_eq!(older.await.unwrap_err(), Shed::Full);
    drop(seat);
    assert!(newer.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn seats_go_by_class_then_oldest_first_for_attested_newest_first_for_spare() {
    let house = house(1, 0, 64);
    let seat = house.try_now(Class::Attested).unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiters = Vec::new();
    for (name, class) in [
        ("u", Class::Unattested),
        ("p", Class::Partial),
        ("a1", Class::Attested),
        ("a2", Class::Attested),
        ("c", Class::Critical),
    ] {
        let (house, order) = (house.clone(), order.clone());
        waiters.push(tokio::spawn(async move {
            let _seat = house.enter(who(class), pending()).await.unwrap();
            order.lock().unwrap().push(name);
        }));
        tokio::task::yield_now().await;
    }
    drop(seat);
    for waiter in waiters {
        waiter.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), ["c", "a1", "a2", "p", "u"]);
    assert_eq!(house.inflight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lower_class_serves_its_newest_and_a_standing_queue_waits_shorter() {
    let house = house(1, 0, 64);
    let mut seat = house.try_now(Class::Attested).unwrap();
    // One client's requests fill its eight queues twice; the second of each is served before the first.
    let mut places: Vec<_> = (0..16).map(|_| house.line_up(who(Class::Unattested), now()).unwrap()).collect();
    let newer = places.split_off(8);
    for place in newer {
        drop(seat);
        seat = place.await.unwrap();
    }
    assert_eq!(house.waiting(), 8);
    // For longer than spare_wait somebody was waiting: now who came 30 ms ago is too late, who came 10 ms ago is not.
    let mut late = Vec::new();
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        late.push(house.line_up(who(Class::Unattested), now()).unwrap());
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    drop(seat);
    let newest = late.pop().unwrap();
    assert!(newest.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_attested_request_passes_waiting_spare_traffic() {
    let house = house(2, 1, 8);
    let _seat = house.try_now(Class::Unattested).unwrap();
    let spare = house.line_up(who(Class::Unattested), now()).unwrap();
    assert!(house.try_now(Class::Attested).is_some());
    drop(spare);
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_no_seat_and_is_one_again_when_its_body_is_in() {
    let house = house(1, 0, 8);
    let mut upload = house.try_now(Class::Attested).unwrap();
    upload.upload(now()).unwrap();
    assert_eq!((house.inflight(), house.uploads()), (0, 1));
    let other = house.try_now(Class::Attested).unwrap();
    upload.body_is_in(now());
    assert_eq!((house.inflight(), house.uploads()), (1, 1), "never more seats than the limit");
    drop(other);
    upload.body_is_in(now());
    assert_eq!((house.inflight(), house.uploads()), (1, 0));
    drop(upload);
    assert_eq!((house.inflight(), house.uploads()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn stalled_uploads_of_one_client_leave_room_for_those_of_others() {
    let house = house(64, 0, 8);
    let begin = |client| {
        let mut seat = house.try_enter(Who { class: Class::Attested, client }, now()).unwrap();
        seat.upload(now()).map(|()| seat)
    };
    let heavy: Vec<_> = (0..64).filter_map(|_| begin(7).ok()).collect();
    assert_eq!((heavy.len(), house.inflight()), (16, 0), "half of half as many places as seats");
    assert!((100..116).filter_map(|client| begin(client).ok()).count() >= 1);
}

#[tokio::test(start_paused = true)]
async fn streams_have_a_cap_of_their_own() {
    let house = house(2, 0, 8);
    let mut streams = Vec::new();
    for client in 0..10 {
        let mut seat = house.try_enter(Who { class: Class::Unattested, client }, now()).unwrap();
        match seat.stream(now()) {
            Ok(()) => streams.push(seat),
            Err(why) => assert_eq!(why, Shed::Streams),
        }
    }
    assert_eq!((streams.len(), house.streams(), house.inflight()), (3, 3, 0));
    assert!(!house.has_room_for_stream(who(Class::Unattested)));
    assert!(house.has_room_for_stream(Who { class: Class::Attested, client: 99 }));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_asks_for_a_pause_gets_it_from_the_lower_classes() {
    let house = house(50, 3, 8);
    for client in 0..40 {
        let seat = house.try_enter(Who { class: Class::Attested, client }, now()).unwrap();
        seat.refused(Some(Duration::from_secs(3)), now());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(house.enter(who(Class::Unattested), pending()).await.unwrap_err(), Shed::Paused);
    assert_eq!(house.refuses(who(Class::Unattested), now()), Some(Shed::Paused));
    assert_eq!(house.refuses(who(Class::Attested), now()), None);
    assert!(house.try_now(Class::Attested).is_some());
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(house.refuses(who(Class::Unattested), now()), None);
    assert!(house.try_now(Class::Unattested).is_some());
}

#[tokio::test]
async fn never_more_seats_than_the_limit_and_none_is_lost() {
    let house = house(3, 1, 64);
    let most = Arc::new(AtomicU32::new(0));
    let mut tasks = Vec::new();
    for n in 0..200_u32 {
        let (house, most) = (house.clone(), most.clone());
        let who = Who { class: CLASSES[n as usize % 4], client: u64::from(n % 10) };
        tasks.push(tokio::spawn(async move {
            let left = async {
                if n.is_multiple_of(7) {
                    tokio::task::yield_now().await;
                } else {
                    pending::<()>().await;
                }
            };
            if let Ok(_seat) = house.enter(who, left).await {
                most.fetch_max(house.inflight(), SeqCst);
                tokio::task::yield_now().await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert!(most.load(SeqCst) <= 3);
    assert_eq!((house.inflight(), house.waiting()), (0, 0));
    assert_eq!(house.inflight_by_class(), [0; 4]);
}

#[test]
fn a_reload_may_shrink_and_grow_the_house() {
    let house = house(2, 0, 1);
    let (a, b) = (house.try_now(Class::Attested).unwrap(), house.try_now(Class::Attested).unwrap());
    house.resize(Capacity { reserve: 5, ..Capacity::of(Limit::Fixed(1)) }, now());
    drop(a);
    assert!(house.try_now(Class::Attested).is_none());
    drop(b);
    assert!(house.try_now(Class::Unattested).is_some(), "a reserve never takes the last seat");
}

#[test]
fn a_lower_class_gets_no_seat_where_a_slow_answer_could_not_go_on_as_a_stream() {
    let (capacity, now) = (Capacity { streams: 4, ..Capacity::of(Limit::Fixed(8)) }, Instant::now());
    let house = Admission::new(capacity, now, 1);
    let who = |class, client| Who { class, client };
    let taken: Vec<Seat> = (0..3)
        .map(|client| {
            let mut seat = house.try_enter(who(Class::Unattested, client), now).unwrap();
            seat.stream(now).unwrap();
            seat
        })
        .collect();
    assert_eq!(house.refuses(who(Class::Unattested, 9), now), Some(Shed::Streams));
    assert_eq!(house.refuses(who(Class::Attested, 9), now), None);
    drop(taken);
    assert_eq!(house.refuses(who(Class::Unattested, 9), now), None);
}

#[test]
fn a_slow_beginning_does_not_leave_a_queue_of_one_for_ever() {
    let (house, begin) = (house(1, 0, 10), Instant::now());
    let at = |ms| begin + Duration::from_millis(ms);
    let first = house.try_enter(who(Class::Attested), at(0)).unwrap();
    let mut waiting =
        [house.line_up(who(Class::Attested), at(0)).unwrap(), house.line_up(who(Class::Attested), at(600)).unwrap()];
    first.leave(at(900));
    waiting.each_mut().iter_mut().zip([1_500, 1_550]).for_each(|(place, then)| granted(place).leave(at(then)));
    assert_eq!(house.inflight(), 0);
    // From now on an answer takes ten milliseconds, and two wait whenever they may.
    let mut refused = 0;
    for round in 0..1_000 {
        let now = 2_000 + round * 10;
        let seat = house.try_enter(who(Class::Attested), at(now)).unwrap();
        let places = [0, 1].map(|_| house.line_up(who(Class::Attested), at(now)));
        refused += places.iter().filter(|place| place.is_err()).count();
        seat.leave(at(now + 4));
        for (place, then) in places.into_iter().flatten().zip([7, 9]) {
            let mut place = place;
            granted(&mut place).leave(at(now + then));
        }
    }
    assert!(refused < 250, "{refused} were told that it takes too long");
}

/// The seat that a place has got.
fn granted(place: &mut Place) -> Seat {
    use std::task::{Context, Poll, Waker};
    match std::pin::Pin::new(place).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(seat)) => seat,
        other => panic!("{other:?}"),
    }
}
