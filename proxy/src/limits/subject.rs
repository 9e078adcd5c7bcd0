//! Whom a limit counts.

use std::net::{IpAddr, Ipv4Addr};

use aws_lc_rs::digest;
use policies::{Limit, Per, Permit};

use super::count::Proven;
use crate::route::Route;

/// One device, network, user, caller, app, token, route or key; or everybody.
#[derive(Debug, Hash, PartialEq, Eq)]
pub(crate) enum Subject<'a> {
    Device(&'a str, &'a str),
    Address(&'a str, IpAddr),
    /// Route, issuer, subject.
    User(&'a str, &'a str, &'a str),
    Caller(&'a str, &'a str),
    App(&'a str, &'a str),
    Token(&'a str, &'a str),
    Route(&'a str),
    Key(&'a str),
    All,
}

impl<'a> Subject<'a> {
    /// Whom `per` counts in this request. Where nobody proved to be one, their network counts: never nobody.
    pub(crate) fn of(per: Per, permit: &'a Permit, route: &'a Route, proven: Proven<'a>) -> Self {
        let verified = permit.verified();
        let name = &*route.settings.name;
        let network = || Self::Address(name, network(proven.address));
        let claim = |claim: Option<&'a str>, of: fn(&'a str, &'a str) -> Self| {
            claim.map_or_else(network, |claim| of(name, claim))
        };
        match per {
            // A device id in software is free: a script makes a million. Only where platform Evidence
            // vouches for its key does a device count by itself, else its network does.
            Per::Device => claim(verified.device().filter(|_| verified.kinds().has_platform()), Self::Device),
            Per::Address => network(),
            Per::User => proven.user.map_or_else(network, |(issuer, subject)| Self::User(name, issuer, subject)),
            Per::Caller => claim(proven.caller, Self::Caller),
            Per::App => claim(verified.claims().and_then(|claims| claims.app()), Self::App),
            Per::Token => claim(verified.claims().and_then(|claims| claims.jti()), Self::Token),
            Per::Route => Self::Route(name),
            Per::Key => route.key.as_ref().map_or(Self::Route(name), |key| Self::Key(&key.name)),
            Per::All => Self::All,
        }
    }

    /// The name of its count: the limit's own, so that counts survive a reload. A key has one count for each unit and
    /// window, whatever the limits are called in which routes: it counts all that is done with it.
    pub(crate) fn count_of<'l>(&self, limit: &'l Limit) -> &'l str {
        match self {
            Self::Key(_) => "",
            _ => &limit.name,
        }
    }

    /// Its name in a state that machines share, or that outlives this process: the same on each of them, and no way
    /// back to a device or an address.
    pub(crate) fn digest(&self, limit: &Limit, source: Source) -> [u8; 32] {
        let mut hash = digest::Context::new(&digest::SHA256);
        let mut part = |bytes: &[u8]| {
            // With its length: no two lists of parts are one text.
            hash.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(bytes);
        };
        part(match source {
            Source::Policy => b"assay limit",
            Source::Ceiling => b"assay ceiling",
        });
        part(self.count_of(limit).as_bytes());
        for word in [limit.per.as_str(), limit.unit.as_str(), limit.count.as_str()] {
            part(word.as_bytes());
        }
        let parts: [&[u8]; 4] = match self {
            Self::Device(route, device) => [b"device", route.as_bytes(), device.as_bytes(), b""],
            Self::User(route, issuer, user) => [b"user", route.as_bytes(), issuer.as_bytes(), user.as_bytes()],
            Self::Caller(route, caller) => [b"caller", route.as_bytes(), caller.as_bytes(), b""],
            Self::App(route, app) => [b"app", route.as_bytes(), app.as_bytes(), b""],
            Self::Token(route, token) => [b"token", route.as_bytes(), token.as_bytes(), b""],
            Self::Address(route, IpAddr::V4(v4)) => [b"v4", route.as_bytes(), &v4.octets(), b""],
            Self::Address(route, IpAddr::V6(v6)) => [b"v6", route.as_bytes(), &v6.octets(), b""],
            Self::Route(route) => [b"route", route.as_bytes(), b"", b""],
            Self::Key(key) => [b"key", key.as_bytes(), &limit.window.as_millis().to_be_bytes(), b""],
            Self::All => [b"all", b"", b"", b""],
        };
        parts.into_iter().for_each(&mut part);
        let mut key = [0; 32];
        key.copy_from_slice(hash.finish().as_ref());
        key
    }
}

/// Whose limit it is. Their counts never meet: a request under a ceiling and a limit of the same unit would spend twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The rule that let the request in.
    Policy,
    /// The route, whatever the rule.
    Ceiling,
}

/// An address as limits count it: IPv6 by /64, since that is what one subscriber has.
fn network(address: Option<IpAddr>) -> IpAddr {
    match address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use policies::{Count, Unit};

    use super::*;

    fn limit(name: &str, unit: Unit, count: Count) -> Limit {
        Limit {
            name: name.into(),
            amount: std::num::NonZeroU64::MIN,
            unit,
            per: Per::Key,
            window: Duration::from_secs(60),
            burst: None,
            count,
            reserve: 1,
        }
    }

    #[test]
    fn addresses_of_one_subscriber_are_one_and_nobody_is_somebody() {
        let of = |text: &str| network(Some(text.parse().unwrap()));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(network(None), of("0.0.0.0"));
    }

    #[test]
    fn no_two_subjects_and_no_two_kinds_of_count_are_one() {
        let one = limit("a", Unit::Tokens, Count::Fixed);
        let user = |issuer, subject| Subject::User("r", issuer, subject).digest(&one, Source::Policy);
        assert_ne!(user("ab", "c"), user("a", "bc"));
        assert_ne!(
            Subject::Device("r", "x").digest(&one, Source::Policy),
            Subject::App("r", "x").digest(&one, Source::Policy)
        );
        assert_ne!(Subject::Route("r").digest(&one, Source::Policy), Subject::Route("s").digest(&one, Source::Policy));
        for other in [limit("b", Unit::Tokens, Count::Fixed), limit("a", Unit::Bytes, Count::Fixed)] {
            assert_ne!(
                Subject::Route("r").digest(&one, Source::Policy),
                Subject::Route("r").digest(&other, Source::Policy)
            );
        }
        let [sliding, fixed] = [Count::Sliding, Count::Fixed].map(|count| limit("a", Unit::Requests, count));
        assert_ne!(Subject::All.digest(&sliding, Source::Policy), Subject::All.digest(&fixed, Source::Policy));
    }

    #[test]
    fn a_key_has_one_count_whatever_its_limits_are_called() {
        let [one, other] = ["chat.1", "images.1"].map(|name| limit(name, Unit::Tokens, Count::Fixed));
        assert_eq!(
            Subject::Key("openai").digest(&one, Source::Policy),
            Subject::Key("openai").digest(&other, Source::Policy)
        );
        assert_ne!(
            Subject::Key("openai").digest(&one, Source::Policy),
            Subject::Key("stripe").digest(&one, Source::Policy)
        );
        let daily = Limit { window: Duration::from_secs(86_400), ..other };
        assert_ne!(
            Subject::Key("openai").digest(&one, Source::Policy),
            Subject::Key("openai").digest(&daily, Source::Policy)
        );
    }

    #[test]
    fn a_ceiling_and_a_limit_of_the_same_kind_have_two_counts() {
        let one = limit("a", Unit::Tokens, Count::Fixed);
        for subject in [Subject::Key("openai"), Subject::Device("r", "x")] {
            assert_ne!(subject.digest(&one, Source::Policy), subject.digest(&one, Source::Ceiling));
        }
        let on_another_route = limit("b", Unit::Tokens, Count::Fixed);
        let key = |limit| Subject::Key("openai").digest(limit, Source::Ceiling);
        assert_eq!(key(&one), key(&on_another_route), "a key has one ceiling over all routes");
    }
}
