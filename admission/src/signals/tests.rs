use super::*;
use crate::Class;

const ADAPTIVE: Limit = Limit::Adaptive { min: 4, max: 1_000, start: 100 };
const SECOND: u64 = 1_000_000_000;

fn who(class: Class, client: u64) -> Who {
    Who { class, client }
}

/// A second of answers and refusals to attested clients; what it leads to.
fn second(control: &mut Control, signals: &Signals, at: &mut u64, answers: u64, refusals: &[u64]) -> Verdict {
    for client in 0..answers {
        signals.answered(who(Class::Attested, client), Duration::from_millis(20), 100, *at);
    }
    for client in refusals {
        signals.refused(who(Class::Attested, *client), Some(Duration::from_secs(60)), 100, *at);
    }
    *at += SECOND;
    control.close(signals, *at).expect("enough for a window")
}

#[test]
fn one_client_that_is_refused_changes_nothing_for_others() {
    let (mut control, signals, mut at) = (Control::new(ADAPTIVE), Signals::default(), SECOND);
    for _ in 0..10 {
        let verdict = second(&mut control, &signals, &mut at, 100, &[7; 500]);
        assert_eq!(verdict.pause, Duration::ZERO);
        assert!(verdict.limit >= Some(100), "{verdict:?}");
    }
}

#[test]
fn one_refusal_among_many_answers_is_none() {
    let (mut control, signals, mut at) = (Control::new(ADAPTIVE), Signals::default(), SECOND);
    let verdict = second(&mut control, &signals, &mut at, 500, &[1, 2, 3, 4]);
    assert_eq!(verdict.pause, Duration::ZERO);
    assert!(verdict.limit >= Some(100));
}

#[test]
fn refusals_of_several_clients_cut_and_pause_the_lower_classes_within_bounds() {
    let (mut control, signals, mut at) = (Control::new(ADAPTIVE), Signals::default(), SECOND);
    let verdict = second(&mut control, &signals, &mut at, 100, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(verdict.limit, Some(75));
    assert_eq!(verdict.pause, LONGEST_PAUSE, "a minute was asked for");
}

#[test]
fn the_only_client_there_is_speaks_for_itself() {
    let (mut control, signals, mut at) = (Control::new(ADAPTIVE), Signals::default(), SECOND);
    let verdict = second(&mut control, &signals, &mut at, 0, &[7; 20]);
    assert_eq!(verdict.limit, Some(75));
}

#[test]
fn refusals_to_the_lower_classes_cut_a_fiftieth_a_second() {
    let (mut control, signals) = (Control::new(ADAPTIVE), Signals::default());
    for second in 1..=10 {
        for client in 0..1_000 {
            signals.refused(who(Class::Unattested, client), None, 100, second * SECOND);
        }
        control.close(&signals, second * SECOND);
    }
    let limit = control.gradient.as_ref().unwrap().limit();
    assert!((80..100).contains(&limit), "{limit} after ten seconds");
}

#[test]
fn a_fixed_limit_stays_and_still_pauses_the_lower_classes() {
    let (mut control, signals, mut at) = (Control::new(Limit::Fixed(50)), Signals::default(), SECOND);
    let verdict = second(&mut control, &signals, &mut at, 0, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    assert_eq!((verdict.limit, verdict.pause), (None, LONGEST_PAUSE));
}

#[test]
fn a_reload_keeps_what_was_learned_and_takes_new_bounds() {
    let mut control = Control::new(ADAPTIVE);
    assert_eq!(control.resize(Limit::Adaptive { min: 4, max: 60, start: 10 }), 60);
    assert_eq!(control.resize(Limit::Fixed(9)), 9);
    assert_eq!(control.resize(ADAPTIVE), 100, "learned anew");
}

#[test]
fn few_slow_answers_are_gathered_until_they_are_enough() {
    let (mut control, signals) = (Control::new(ADAPTIVE), Signals::default());
    let mut verdicts = 0;
    for n in 0..40_u64 {
        // Two a second, each after ten seconds, with all seats in use.
        let at = n * SECOND / 2;
        signals.answered(who(Class::Attested, n), Duration::from_secs(10), 100, at);
        verdicts += u32::from(control.close(&signals, at).is_some_and(|verdict| verdict.limit > Some(100)));
    }
    assert!(verdicts >= 1, "all seats are in use and nothing speaks against more");
}

#[test]
fn what_was_said_half_a_minute_ago_counts_no_more() {
    let (mut control, signals) = (Control::new(ADAPTIVE), Signals::default());
    for client in 0..15 {
        signals.refused(who(Class::Attested, client), None, 100, SECOND);
    }
    signals.refused(who(Class::Attested, 99), None, 100, 60 * SECOND);
    assert_eq!(control.close(&signals, 60 * SECOND), None);
    assert_eq!(control.gradient.as_ref().unwrap().limit(), 100);
}
