use super::*;
use std::future::pending;

fn house(limit: u32, reserve: u32, queue_length: u32) -> Arc<Admission> {
    Admission::new(Capacity { limit, reserve, queue_length, deadline: Duration::from_secs(1) })
}

#[tokio::test(start_paused = true)]
async fn refuses_spare_traffic_the_reserve() {
    let house = house(3, 1, 4);
    let _one = house.try_enter(Class::Unattested).unwrap();
    let _two = house.try_enter(Class::Unattested).unwrap();
    assert!(house.try_enter(Class::Unattested).is_none());
    assert!(house.try_enter(Class::Partial).is_none());
    assert!(house.try_enter(Class::Attested).is_some());
}

#[tokio::test(start_paused = true)]
async fn refuses_a_spare_request_after_100_ms_and_an_attested_one_after_its_deadline() {
    let house = house(1, 0, 4);
    let _seat = house.try_enter(Class::Attested).unwrap();
    let start = Instant::now();
    assert_eq!(house.enter(Class::Unattested, pending()).await.unwrap_err(), Shed::Deadline);
    assert_eq!(start.elapsed(), Duration::from_millis(100));
    assert_eq!(house.enter(Class::Attested, pending()).await.unwrap_err(), Shed::Deadline);
    assert_eq!(start.elapsed(), Duration::from_millis(1_100));
    assert_eq!(house.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_frees_its_place() {
    let house = house(1, 0, 1);
    let seat = house.try_enter(Class::Attested).unwrap();
    let gone = house.enter(Class::Attested, async {}).await;
    assert_eq!(gone.unwrap_err(), Shed::ClientLeft);
    assert_eq!(house.waiting(), 0);
    drop(seat);
    assert!(house.try_enter(Class::Attested).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_full_upper_queue_turns_the_newcomer_away_a_full_spare_queue_its_oldest() {
    let house = house(1, 0, 1);
    let seat = house.try_enter(Class::Attested).unwrap();
    let first = tokio::spawn({
        let house = house.clone();
        async move { house.enter(Class::Attested, pending()).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(house.enter(Class::Attested, pending()).await.unwrap_err(), Shed::Full);
    drop(seat);
    let seat = first.await.unwrap().unwrap();

    let older = tokio::spawn({
        let house = house.clone();
        async move { house.enter(Class::Unattested, pending()).await }
    });
    tokio::task::yield_now().await;
    let newer = tokio::spawn({
        let house = house.clone();
        async move { house.enter(Class::Unattested, pending()).await }
    });
    assert_eq!(older.await.unwrap().unwrap_err(), Shed::Full);
    drop(seat);
    assert!(newer.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn seats_go_by_class_then_oldest_first_for_attested_newest_first_for_spare() {
    let house = house(1, 0, 8);
    let seat = house.try_enter(Class::Attested).unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiters = Vec::new();
    for (name, class) in [
        ("u1", Class::Unattested),
        ("u2", Class::Unattested),
        ("p", Class::Partial),
        ("a1", Class::Attested),
        ("a2", Class::Attested),
        ("c", Class::Critical),
    ] {
        let (house, order) = (house.clone(), order.clone());
        waiters.push(tokio::spawn(async move {
            let _seat = house.enter(class, pending()).await.unwrap();
            order.lock().unwrap().push(name);
        }));
        tokio::task::yield_now().await;
    }
    drop(seat);
    for waiter in waiters {
        waiter.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), ["c", "a1", "a2", "p", "u2", "u1"]);
    assert_eq!(house.inflight(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_attested_request_passes_waiting_spare_traffic() {
    let house = house(2, 1, 8);
    let _seat = house.try_enter(Class::Unattested).unwrap();
    let spare = tokio::spawn({
        let house = house.clone();
        async move { house.enter(Class::Unattested, pending()).await }
    });
    tokio::task::yield_now().await;
    assert!(house.try_enter(Class::Attested).is_some());
    assert_eq!(spare.await.unwrap().unwrap_err(), Shed::Deadline);
}

#[tokio::test]
async fn never_more_seats_than_the_limit_and_none_is_lost() {
    let house = house(3, 1, 64);
    let most = Arc::new(AtomicU32::new(0));
    let mut tasks = Vec::new();
    for n in 0..200_u32 {
        let (house, most) = (house.clone(), most.clone());
        let class = [Class::Critical, Class::Attested, Class::Partial, Class::Unattested][n as usize % 4];
        tasks.push(tokio::spawn(async move {
            let left = async {
                if n.is_multiple_of(7) {
                    tokio::task::yield_now().await;
                } else {
                    pending::<()>().await;
                }
            };
            if let Ok(_seat) = house.enter(class, left).await {
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
    let (a, b) = (house.try_enter(Class::Attested).unwrap(), house.try_enter(Class::Attested).unwrap());
    house.resize(Capacity { limit: 1, reserve: 5, queue_length: 1, deadline: Duration::from_secs(1) });
    drop(a);
    assert!(house.try_enter(Class::Attested).is_none());
    drop(b);
    assert!(house.try_enter(Class::Unattested).is_some(), "a reserve never takes the last seat");
}
