//! What an operator decides of a device or an app, from the command to the gateway's answer, with service and gateway in one
//! process; and that it ends when it was said to.

use e2e::attester::Attester;
use e2e::files::Files;
use e2e::house::House;
use e2e::jwt;
use e2e::upstream::Recorder;
use e2e::wait::until;

fn house() -> (House, Recorder) {
    let api = Recorder::start();
    (House::together(Files::new(), &api.address, "sk_live_0123456789abcdef"), api)
}

/// What the gateway answers to the next token of this device: status and verdict.
fn next(house: &House, attester: &Attester) -> (u16, String) {
    let token = attester.token(&house.service);
    let mark = house.gateway.out().mark();
    let status = house.get_as(&token, "/own/x").status;
    let line = house.log_line(mark, |line| line["path"] == "/own/x");
    (status, line["verdict"].as_str().unwrap().to_owned())
}

fn passes(house: &House, attester: &Attester) -> bool {
    let (status, verdict) = next(house, attester);
    assert!([(200, "attested"), (403, "failed")].contains(&(status, verdict.as_str())), "{status} {verdict}");
    status == 200
}

#[test]
fn a_forced_pass_or_fail_holds_for_what_comes_next_and_ends_by_itself() {
    let (house, _api) = house();
    let (patched, genuine) = (Attester::patched(), Attester::genuine());
    let (weak, strong) = (patched.token(&house.service), genuine.token(&house.service));
    // A pass overrules the Evidence. It ends by itself, and then the Evidence counts again.
    house.here(&["device", "pass", &jwt::device(&weak), "--for", "3s", "--reason", "support case 812"]).ends(0);
    until("the pass to hold", || passes(&house, &patched).then_some(()));
    until("the pass to end", || (!passes(&house, &patched)).then_some(()));
    // A fail is for what comes next; the token in hand is good until it expires.
    house.here(&["device", "fail", &jwt::device(&strong), "--reason", "looks automated"]).ends(0);
    until("the fail to hold", || (!passes(&house, &genuine)).then_some(()));
    assert_eq!(house.get_as(&strong, "/own/x").status, 200);
    house.here(&["device", "clear", &jwt::device(&strong), "--reason", "it was not"]).ends(0);
    until("the fail to be taken back", || passes(&house, &genuine).then_some(()));
    // Without an end, without a reason, for longer than there is: refused, and nothing changes.
    let device = jwt::device(&weak);
    house.here(&["device", "pass", &device, "--reason", "r"]).ends(2).complains(&["--for"]);
    house.here(&["device", "ban", &device]).ends(2).complains(&["--reason"]);
    house.here(&["device", "pass", &device, "--for", "31d", "--reason", "r"]).ends(2);
    house.here(&["device", "ban", "not-a-device", "--reason", "r"]).ends(2);
    assert!(!passes(&house, &patched));
}

#[test]
fn a_minimum_version_written_into_the_file_holds_without_a_restart() {
    let (house, _api) = house();
    let attester = Attester::genuine();
    assert!(passes(&house, &attester));
    let before = house.yaml();
    let raised = before.replace("apps: { shop: { linux:", "apps: { shop: { min_version: \"1.1\", linux:");
    assert_ne!(before, raised);
    house.files.write("gateway.yaml", raised);
    until("the minimum version to hold", || (!passes(&house, &attester)).then_some(()));
    let code = jwt::claims(&attester.token(&house.service))["arc"].as_str().unwrap().to_owned();
    let told = house.here(&["arc", "decode", &code]).ends(0);
    assert!(told.out.contains("below_min_version"), "{}", told.out);
    house.files.write("gateway.yaml", before);
    until("the version to be good again", || passes(&house, &attester).then_some(()));
}

#[test]
fn everything_issued_before_a_moment_is_refused_and_what_comes_next_passes() {
    let (house, _api) = house();
    let attester = Attester::genuine();
    let before = attester.token(&house.service);
    let moment = (jwt::claims(&before)["iat"].as_i64().unwrap() + 1).to_string();
    until("that moment to be over", || {
        (jwt::claims(&attester.token(&house.service))["iat"].as_i64()? > moment.parse().unwrap()).then_some(())
    });
    house.here(&["revocation", "add", "issued-before", &moment, "--reason", "all tokens of that night"]).ends(0);
    until("the old token to be refused", || (house.get_as(&before, "/own/x").status == 403).then_some(()));
    assert!(passes(&house, &attester));
    house.here(&["revocation", "add", "app", "shop", "--reason", "leaked build machine"]).ends(0);
    until("the app to be refused", || {
        let (status, verdict) = next(&house, &attester);
        (status == 403).then(|| assert_eq!(verdict, "revoked"))
    });
    house.here(&["revocation", "lift", "app", "shop", "--reason", "mended"]).ends(0);
    until("the app to pass again", || passes_or_revoked(&house, &attester).then_some(()));
    assert_eq!(house.get_as(&before, "/own/x").status, 403, "one lifted is not the other");
}

fn passes_or_revoked(house: &House, attester: &Attester) -> bool {
    let (status, verdict) = next(house, attester);
    assert!([(200, "attested"), (403, "revoked")].contains(&(status, verdict.as_str())), "{status} {verdict}");
    status == 200
}
