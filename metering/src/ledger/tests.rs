use std::num::NonZeroU64;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const NOON: UnixTime = UnixTime::from_secs(1_795_348_800);

fn budget(amount: u64) -> Budget {
    Budget::new(NonZeroU64::new(amount).unwrap(), HOUR)
}

fn subject(n: u64) -> Subject {
    let mut subject = [0; 16];
    subject[..8].copy_from_slice(&n.to_be_bytes());
    subject
}

#[test]
fn refuses_what_is_more_than_is_left_and_says_when_the_next_window_begins() {
    let ledger = Ledger::new();
    let at = NOON.plus(Duration::from_secs(600));
    assert_eq!(ledger.reserve(subject(1), budget(100), 60, at).unwrap().remaining, 40);
    let exhausted = Exhausted { remaining: 40, retry_after: HOUR - Duration::from_secs(600) };
    assert_eq!(ledger.reserve(subject(1), budget(100), 41, at), Err(exhausted));
    assert_eq!(ledger.reserve(subject(1), budget(100), 40, at).unwrap().remaining, 0);
    assert!(ledger.reserve(subject(1), budget(100), 1, at).is_err());
    assert_eq!(ledger.reserve(subject(2), budget(100), 100, at).unwrap().remaining, 0, "another subject");
    assert_eq!(ledger.reserve(subject(1), budget(100), 100, NOON.plus(HOUR)).unwrap().remaining, 0, "the next window");
}

#[test]
fn a_reservation_of_nothing_is_one_unit() {
    let ledger = Ledger::new();
    assert!(ledger.reserve(subject(1), budget(1), 0, NOON).is_ok());
    assert!(ledger.reserve(subject(1), budget(1), 0, NOON).is_err());
}

#[test]
fn a_reservation_whose_usage_never_comes_stands() {
    let ledger = Ledger::new();
    let _never_settled = ledger.reserve(subject(1), budget(10), 10, NOON).unwrap();
    assert!(ledger.reserve(subject(1), budget(10), 1, NOON).is_err());
}

#[test]
fn settling_gives_back_what_was_not_used_and_charges_what_was_used_beyond() {
    let ledger = Ledger::new();
    let held = ledger.reserve(subject(1), budget(100), 50, NOON).unwrap();
    ledger.settle(held, 10, NOON);
    let held = ledger.reserve(subject(1), budget(100), 90, NOON).unwrap();
    ledger.settle(held, 500, NOON);
    let exhausted = ledger.reserve(subject(1), budget(100), 1, NOON).unwrap_err();
    assert_eq!(exhausted.remaining, 0, "it closes the window");
    let held = ledger.reserve(subject(2), budget(100), 100, NOON).unwrap();
    ledger.settle(held, 0, NOON);
    assert!(ledger.reserve(subject(2), budget(100), 100, NOON).is_ok(), "a refund");
}

#[test]
fn what_is_used_already_is_spent_before_the_request_is_over() {
    let ledger = Ledger::new();
    let mut held = ledger.reserve(subject(1), budget(100), 10, NOON).unwrap();
    ledger.grow(&mut held, 60, NOON);
    assert_eq!(ledger.reserve(subject(1), budget(100), 31, NOON).unwrap_err().remaining, 30);
    ledger.grow(&mut held, 60, NOON);
    assert_eq!(ledger.reserve(subject(1), budget(100), 1, NOON).unwrap_err().remaining, 0);
    ledger.settle(held, 75, NOON);
    assert_eq!(ledger.reserve(subject(1), budget(100), 25, NOON).unwrap().remaining, 0);
}

#[test]
fn what_grows_over_the_end_of_a_window_is_charged_once() {
    let ledger = Ledger::new();
    let mut held = ledger.reserve(subject(1), budget(100), 10, NOON).unwrap();
    let later = NOON.plus(HOUR);
    ledger.grow(&mut held, 20, later);
    ledger.settle(held, 50, later);
    assert_eq!(ledger.reserve(subject(1), budget(100), 1, later).unwrap().remaining, 59);
}

#[test]
fn what_is_used_beyond_a_reservation_after_its_window_is_charged_to_the_next() {
    let ledger = Ledger::new();
    let held = ledger.reserve(subject(1), budget(100), 50, NOON).unwrap();
    let later = NOON.plus(HOUR);
    ledger.settle(held, 80, later);
    assert_eq!(ledger.reserve(subject(1), budget(100), 1, later).unwrap().remaining, 69);
    let held = ledger.reserve(subject(2), budget(100), 50, NOON).unwrap();
    ledger.settle(held, 10, later);
    assert_eq!(ledger.reserve(subject(2), budget(100), 100, later).unwrap().remaining, 0, "no credit is carried over");
}

#[test]
fn a_clock_set_back_gives_no_second_budget_and_one_that_was_far_ahead_locks_nobody_out() {
    let ledger = Ledger::new();
    ledger.reserve(subject(1), budget(10), 10, NOON).unwrap();
    assert!(ledger.reserve(subject(1), budget(10), 1, NOON.minus(Duration::from_secs(30))).is_err());
    assert!(ledger.reserve(subject(1), budget(10), 1, NOON.minus(HOUR * 48)).is_ok());
}

#[test]
fn a_window_that_was_made_another_keeps_what_was_spent() {
    let ledger = Ledger::new();
    let daily = Budget::new(NonZeroU64::new(10).unwrap(), HOUR * 24);
    ledger.reserve(subject(1), daily, 10, NOON).unwrap();
    assert!(ledger.reserve(subject(1), budget(10), 1, NOON).is_err(), "a reload frees nobody");
    assert!(ledger.reserve(subject(1), budget(10), 10, NOON.plus(HOUR)).is_ok());
}

#[test]
fn windows_of_which_nothing_is_known_count_as_used_up() {
    let ledger = Ledger::new();
    ledger.close_windows_of(NOON.plus(Duration::from_secs(1)));
    let refused = ledger.reserve(subject(1), budget(100), 1, NOON.plus(Duration::from_secs(5))).unwrap_err();
    assert_eq!(refused.remaining, 0);
    assert!(ledger.reserve(subject(1), budget(100), 1, NOON.plus(HOUR)).is_ok());
}

#[test]
fn made_up_subjects_share_one_cell_once_the_map_is_full_and_the_next_window_makes_room() {
    let ledger = Ledger::with_room_for(64);
    let mut passed = 0;
    for n in 0..1000 {
        passed += usize::from(ledger.reserve(subject(n), budget(1), 1, NOON).is_ok());
    }
    assert_eq!(passed, 65);
    assert!(ledger.live() <= 66);
    assert!(ledger.reserve(subject(3), budget(1), 1, NOON).is_err(), "who was there keeps its cell");
    assert!(ledger.reserve(subject(2000), budget(5), 1, NOON).is_ok(), "another budget has a cell of its own");
    let later = NOON.plus(HOUR);
    assert!((0..40).all(|n| ledger.reserve(subject(5000 + n), budget(1), 1, later).is_ok()));
}

/// What one request does: what it reserves, what becomes of it.
#[derive(Clone, Debug)]
struct Request {
    reserve: u64,
    ending: Ending,
}

#[derive(Clone, Debug)]
enum Ending {
    /// It is settled at this.
    Used(u64),
    /// So much more of it is known before it is settled at this.
    Grown(u64, u64),
    /// It is dropped: nobody ever says what it used.
    Aborted,
    /// It was refused before it was handed over.
    Refunded,
}

fn request() -> impl Strategy<Value = Request> {
    let ending = prop_oneof![
        4 => (0_u64..80).prop_map(Ending::Used),
        1 => (0_u64..40, 0_u64..80).prop_map(|(more, used)| Ending::Grown(more, used)),
        1 => Just(Ending::Aborted),
        1 => Just(Ending::Refunded),
    ];
    (1_u64..50, ending).prop_map(|(reserve, ending)| Request { reserve, ending })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Many threads reserve, yield, settle and abort. The books are kept again beside the ledger, and compared to the unit.
    #[test]
    fn the_books_are_right_to_the_unit_under_concurrency_and_aborts(
        amount in 1_u64..2_000,
        requests in proptest::collection::vec(proptest::collection::vec(request(), 1..60), 2..8),
    ) {
        let ledger = Arc::new(Ledger::new());
        let budget = budget(amount);
        let start = std::sync::Barrier::new(requests.len());
        // Of each thread: what it charged in all, and what of it was beyond reservations.
        let sums: Vec<(u64, u64)> = std::thread::scope(|scope| {
            let threads: Vec<_> = requests.iter().map(|requests| {
                let (ledger, start) = (ledger.clone(), &start);
                scope.spawn(move || {
                    start.wait();
                    let (mut charged, mut beyond) = (0, 0);
                    for request in requests {
                        let Ok(mut held) = ledger.reserve(subject(1), budget, request.reserve, NOON) else { continue };
                        std::thread::yield_now();
                        match request.ending {
                            Ending::Used(used) => {
                                ledger.settle(held, used, NOON);
                                charged += used;
                                beyond += used.saturating_sub(request.reserve);
                            }
                            Ending::Grown(more, used) => {
                                ledger.grow(&mut held, more, NOON);
                                std::thread::yield_now();
                                ledger.settle(held, used, NOON);
                                charged += used;
                                // While it had grown, others could see more than it used in the end: they were refused,
                                // never let in.
                                beyond += used.saturating_sub(request.reserve);
                            }
                            Ending::Aborted => charged += request.reserve,
                            Ending::Refunded => ledger.settle(held, 0, NOON),
                        }
                    }
                    (charged, beyond)
                })
            }).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let (charged, beyond) = sums.iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
        let spent = ledger.cells.get(&subject(1)).map_or(0, |cell| cell.spent);
        prop_assert_eq!(spent, charged, "every unit is charged once");
        prop_assert!(spent <= amount + beyond, "{} spent of {}, {} beyond reservations", spent, amount, beyond);
        if beyond == 0 {
            prop_assert!(spent <= amount);
        }
    }

    /// One thread, time moving: after every step the invariant holds, and a reservation that fits is never refused.
    #[test]
    fn nothing_is_refused_that_fits_and_nothing_passes_that_does_not(
        amount in 1_u64..500,
        steps in proptest::collection::vec((request(), 0_u64..2_000), 1..120),
    ) {
        let ledger = Ledger::new();
        let budget = budget(amount);
        let (mut now, mut number, mut spent) = (NOON, budget.number(NOON), 0_u64);
        for (request, secs) in steps {
            now = now.plus(Duration::from_secs(secs));
            if budget.number(now) != number {
                (number, spent) = (budget.number(now), 0);
            }
            let held = ledger.reserve(subject(1), budget, request.reserve, now);
            prop_assert_eq!(held.is_ok(), spent + request.reserve <= amount);
            let Ok(mut held) = held else { continue };
            prop_assert_eq!(held.remaining, amount - spent - request.reserve);
            match request.ending {
                Ending::Used(used) => {
                    ledger.settle(held, used, now);
                    spent += used;
                }
                Ending::Grown(more, used) => {
                    ledger.grow(&mut held, more, now);
                    ledger.settle(held, used, now);
                    spent += used;
                }
                Ending::Aborted => spent += request.reserve,
                Ending::Refunded => ledger.settle(held, 0, now),
            }
        }
    }
}
