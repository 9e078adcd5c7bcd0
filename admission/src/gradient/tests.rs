use super::*;

/// A window of a second's quarter, all seats in use.
fn full(gradient: &Gradient, time: f64) -> Window {
    Window { answers: Some((time, 400)), upper: true, refused: false, peak: gradient.limit(), length: 0.25 }
}

/// An upstream that works on so many at once, each for `time`; the rest waits inside it.
fn against(gradient: &mut Gradient, slots: f64, time: f64, windows: usize) -> u32 {
    for _ in 0..windows {
        let seen = time * (f64::from(gradient.limit()) / slots).max(1.0);
        gradient.step(&full(gradient, seen));
    }
    gradient.limit()
}

#[test]
fn finds_the_slots_of_an_upstream_from_below_and_from_above() {
    for start in [4, 32, 1_000] {
        let mut gradient = Gradient::new(4, 1_000, start);
        // What is usual shows while little is asked.
        gradient.step(&Window { answers: Some((0.02, 400)), upper: true, refused: false, peak: 1, length: 0.25 });
        let limit = against(&mut gradient, 50.0, 0.02, 120);
        assert!((55..=85).contains(&limit), "from {start}: {limit}");
    }
}

#[test]
fn a_long_overload_does_not_make_it_grow_without_end() {
    let mut gradient = Gradient::new(4, 1_000, 32);
    let soon = against(&mut gradient, 50.0, 0.02, 200);
    let late = against(&mut gradient, 50.0, 0.02, 20_000);
    assert!(late <= soon + 3, "{soon}, then {late}");
}

#[test]
fn stays_within_its_bounds_whatever_it_sees() {
    let mut gradient = Gradient::new(10, 100, 32);
    for n in 0..1_000_u32 {
        let time = [1e-6, 0.02, 5.0, 1e6][n as usize % 4];
        gradient.step(&Window {
            answers: (n % 3 > 0).then_some((time, 1 + n % 500)),
            upper: n % 5 > 0,
            refused: n % 7 == 0,
            peak: n % 200,
            length: f64::from(n % 40) / 4.0,
        });
        assert!((10..=100).contains(&gradient.limit()));
    }
}

#[test]
fn noise_does_not_ratchet_it_down() {
    let mut gradient = Gradient::new(4, 1_000, 100);
    gradient.beginning = false;
    let mut state = 7_u64;
    let mut least = u32::MAX;
    for _ in 0..5_000 {
        // Means of 20 exponential times: a fifth up or down is nothing.
        let mut sum = 0.0;
        for _ in 0..20 {
            state = crate::mixed(state.wrapping_add(0x9e37_79b9_7f4a_7c15));
            sum -= ((state >> 11) as f64 / (1_u64 << 53) as f64).max(1e-12).ln();
        }
        gradient.step(&Window {
            answers: Some((0.02 * sum / 20.0, 20)),
            upper: true,
            refused: false,
            peak: 95,
            length: 0.25,
        });
        least = least.min(gradient.limit());
    }
    assert!(least >= 90, "{least}");
}

#[test]
fn windows_that_used_few_seats_change_nothing() {
    let mut gradient = Gradient::new(4, 1_000, 64);
    for time in [0.02, 0.001, 0.5, 0.02] {
        gradient.step(&Window { answers: Some((time, 100)), upper: true, refused: false, peak: 30, length: 1.0 });
        assert_eq!(gradient.limit(), 64);
    }
}

#[test]
fn an_upstream_that_is_slow_by_itself_keeps_its_seats_and_has_them_when_it_is_fast_again() {
    let mut gradient = Gradient::new(4, 1_000, 32);
    against(&mut gradient, 50.0, 0.02, 200);
    let slow = against(&mut gradient, 50.0, 0.1, 240);
    assert!(slow >= 40, "{slow}");
    let recovered = against(&mut gradient, 50.0, 0.02, 20);
    assert!((45..=95).contains(&recovered), "{recovered}");
}

#[test]
fn refusals_cut_at_once_and_it_is_back_within_seconds() {
    let mut gradient = Gradient::new(4, 1_000, 32);
    let before = against(&mut gradient, 50.0, 0.02, 200);
    for _ in 0..40 {
        let refused = Window { refused: true, answers: None, ..full(&gradient, 0.02) };
        gradient.step(&refused);
    }
    assert_eq!(gradient.limit(), 4);
    let after = against(&mut gradient, 50.0, 0.02, 20);
    assert!(f64::from(after) >= 0.85 * f64::from(before), "{before}, then {after} after five seconds");
}

#[test]
fn the_lower_classes_move_it_by_a_fiftieth_a_second_and_never_what_is_usual() {
    let mut gradient = Gradient::new(4, 1_000, 100);
    gradient.step(&full(&gradient, 0.02));
    let (before, usual) = (gradient.limit, gradient.usual(true));
    for n in 0..40 {
        let time = if n % 2 == 0 { 10.0 } else { 1e-5 };
        gradient.step(&Window { upper: false, refused: n % 3 == 0, ..full(&gradient, time) });
    }
    let moved = (gradient.limit / before - 1.0).abs();
    assert!(moved <= 0.22, "{moved} in ten seconds");
    assert_eq!(gradient.usual(true), usual);
}
