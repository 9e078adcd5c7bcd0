//! Advice from weeks that are made up.

use std::net::IpAddr;

use attest_core::verdict::Verdict;

use super::*;
use crate::class::Action;
use crate::observations::Seen;
use crate::recording::Pseudonyms;

/// An hour at the end of a day, so that seven days are whole.
const NOW: i64 = 20_000 * 24 + 23;

struct Traffic {
    seen: Observations,
    names: Pseudonyms,
}

impl Traffic {
    fn new() -> Self {
        Self { seen: Observations::default(), names: Pseudonyms::new([7; 16]) }
    }

    /// `count` requests of different devices, spread over the `hours` before now.
    fn attested(&mut self, count: u64, hours: i64, version: &str, enforced: Action) {
        for n in 0..count {
            let device = self.names.device(&format!("{version}-{n}"));
            let seen = Seen {
                route: "api",
                verdict: Verdict::Attested,
                app: Some("shop"),
                version: Some(version),
                rule: "r",
                action: Action::Allow,
                enforced,
                device: Some(device),
                network: n,
            };
            self.seen.record(NOW - i64::try_from(n).unwrap() % hours, &seen);
        }
    }

    fn bare(&mut self, count: u64, hours: i64, verdict: Verdict, action: Action) {
        for n in 0..count {
            let address: IpAddr =
                [198, 51, u8::try_from(n / 256 % 256).unwrap(), u8::try_from(n % 256).unwrap()].into();
            let seen = Seen {
                route: "api",
                verdict,
                app: None,
                version: None,
                rule: "default",
                action,
                enforced: Action::Block,
                device: None,
                network: self.names.network(address),
            };
            self.seen.record(NOW - i64::try_from(n).unwrap() % hours, &seen);
        }
    }

    fn advice(&self) -> Advice {
        advise(&self.seen, "api", UnixTime::from_secs(NOW * 3_600 + 3_599), 7).unwrap()
    }
}

#[test]
fn nothing_seen_is_no_advice() {
    assert_eq!(advise(&Observations::default(), "api", UnixTime::from_secs(NOW * 3_600), 7), None);
    let mut traffic = Traffic::new();
    traffic.attested(1, 1, "3.4", Action::Allow);
    assert_eq!(advise(&traffic.seen, "other", UnixTime::from_secs(NOW * 3_600), 7), None);
    assert_eq!(advise(&traffic.seen, "api", UnixTime::from_secs((NOW + 24 * 9) * 3_600), 7), None, "a week is over");
}

#[test]
fn says_it_in_the_words_of_an_operator() {
    let mut traffic = Traffic::new();
    traffic.attested(18_820, 168, "3.4", Action::Allow);
    traffic.attested(490, 168, "3.1", Action::Block);
    traffic.attested(290, 168, "3.10", Action::Allow);
    traffic.attested(490, 168, "3.3", Action::Block);
    traffic.bare(200, 168, Verdict::Missing, Action::Allow);
    let advice = traffic.advice();
    assert!(
        advice.summary.starts_with("94.2 % verified over 7 days; 4.8 % old versions 3.1 to 3.3; 1.0 % unknown origin; enforcing would block about "),
        "{}",
        advice.summary
    );
    assert_eq!(advice.recommendation, Recommendation::Wait);
    assert!(advice.reasons[0].contains("versions 3.1 to 3.3 of `shop`"), "{:?}", advice.reasons);
    assert_eq!(advice.confidence, Confidence::High, "{:?}", advice.doubts);
    let off = advice.refused.devices.abs_diff(980);
    assert!(off < 98, "{}", advice.refused.devices);
    assert!(advice.refused.networks.abs_diff(200) < 20);
    let json = serde_json::to_value(&advice).unwrap();
    assert_eq!(json["recommendation"], "wait");
    assert_eq!(json["categories"][0]["category"], "verified");
}

#[test]
fn few_requests_or_hours_are_no_ground_to_enforce() {
    let mut traffic = Traffic::new();
    traffic.attested(500, 168, "3.4", Action::Allow);
    traffic.bare(20, 168, Verdict::Missing, Action::Allow);
    let advice = traffic.advice();
    assert_eq!((advice.recommendation, advice.confidence), (Recommendation::Wait, Confidence::Low));
    assert!(advice.doubts[0].contains("too few data"), "{:?}", advice.doubts);

    let mut traffic = Traffic::new();
    traffic.attested(20_000, 5, "3.4", Action::Allow);
    traffic.bare(20, 5, Verdict::Missing, Action::Allow);
    let advice = traffic.advice();
    assert_eq!((advice.recommendation, advice.confidence), (Recommendation::Wait, Confidence::Low));
    assert!(advice.summary.contains("over 5 hours"), "{}", advice.summary);
}

#[test]
fn a_clean_week_is_to_be_enforced_and_an_enforced_one_left_alone() {
    let mut traffic = Traffic::new();
    traffic.attested(20_000, 168, "3.4", Action::Allow);
    traffic.bare(100, 168, Verdict::Failed, Action::Allow);
    let advice = traffic.advice();
    assert_eq!((advice.recommendation, advice.confidence), (Recommendation::Enforce, Confidence::High));
    assert!(advice.refused.networks.abs_diff(100) <= 5, "{}", advice.refused.networks);
    assert!(advice.summary.ends_with(" networks without a genuine app"), "{}", advice.summary);

    let mut traffic = Traffic::new();
    traffic.attested(20_000, 168, "3.4", Action::Allow);
    traffic.bare(100, 168, Verdict::Failed, Action::Block);
    assert_eq!(traffic.advice().recommendation, Recommendation::NothingToDo);
}

#[test]
fn a_fifth_without_a_token_is_looked_at_first() {
    let mut traffic = Traffic::new();
    traffic.attested(16_000, 168, "3.4", Action::Allow);
    traffic.bare(4_000, 168, Verdict::Missing, Action::Allow);
    let advice = traffic.advice();
    assert_eq!(advice.recommendation, Recommendation::LookFirst);
    assert!(advice.reasons.iter().any(|why| why.contains("20.0 % come without a token")), "{:?}", advice.reasons);
}

#[test]
fn our_own_faults_are_no_share_of_the_clients() {
    let mut traffic = Traffic::new();
    traffic.attested(16_000, 168, "3.4", Action::Allow);
    traffic.bare(100, 168, Verdict::BadSignature, Action::Allow);
    traffic.bare(4_000, 168, Verdict::Unverifiable, Action::Block);
    let advice = traffic.advice();
    assert_eq!((advice.requests, advice.unverifiable), (16_100, 4_000));
    assert_eq!(advice.recommendation, Recommendation::LookFirst);
}

#[test]
fn a_last_day_that_differs_is_a_doubt() {
    let mut traffic = Traffic::new();
    traffic.attested(20_000, 168, "3.4", Action::Allow);
    traffic.bare(2_000, 12, Verdict::Missing, Action::Allow);
    let advice = traffic.advice();
    assert_eq!(advice.confidence, Confidence::Medium);
    assert!(advice.doubts.iter().any(|why| why.starts_with("the last day differs")), "{:?}", advice.doubts);
}

#[test]
fn genuine_apps_whose_tokens_name_no_device_are_counted_by_their_requests() {
    let mut traffic = Traffic::new();
    traffic.attested(20_000, 168, "3.4", Action::Allow);
    traffic.bare(2_000, 168, Verdict::Expired, Action::Allow);
    let mut advice = traffic.advice();
    advice.refused.of_devices = 0;
    advice.refused.devices = 0;
    judgement::judge(&mut advice);
    assert_eq!(advice.recommendation, Recommendation::Wait);
    assert!(advice.reasons[0].starts_with("9.1 % of the requests of genuine apps"), "{:?}", advice.reasons);
}
