//! One known key, known tokens, and a search of everything that comes out of the house for any trace of them.
//!
//! The API behind the gateway is the most careless one there could be: it sends the key back in every form that the
//! response guard knows. The search is tried on that API's own answers first: it finds what is there.

use std::io::Write;

use e2e::attester::Attester;
use e2e::command::{Ran, assay, assay_fed};
use e2e::files::Files;
use e2e::house::{House, KEY_NAME, Plan, put_key};
use e2e::needles::{self, Needle, found};
use e2e::upstream::{Recorder, Seen, ok};
use e2e::wait::until;
use e2e::wire::{self, Answer};

const KEY: &str = "canary/KEY+with=odd&chars\"<here>~0123456789";

/// Everything the careless API says of the key in a body.
fn forms() -> Vec<Needle> {
    let mut forms = needles::of_secret("the key", KEY);
    forms.retain(|needle| needle.form != "the key, reversed");
    forms
}

fn careless(request: &Seen) -> Vec<u8> {
    let line = request.line();
    if line.contains("/v1/headers") {
        return format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Echo-Key: {KEY}\r\nX-Debug: you sent {KEY}!\r\nSet-Cookie: k={KEY}; Path=/\r\n\r\nok").into_bytes();
    }
    let body = forms().iter().map(|needle| needle.bytes().to_vec()).collect::<Vec<_>>().join(&b"\n , "[..]);
    if line.contains("/v1/stream") {
        return stream(&body);
    }
    let status = if line.contains("/v1/broken") { "500 Internal Server Error" } else { "200 OK" };
    let kind = "Content-Type: application/json\r\n";
    [format!("HTTP/1.1 {status}\r\n{kind}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat()
}

/// Server-sent events whose chunks cut every form of the key at every place.
fn stream(body: &[u8]) -> Vec<u8> {
    let mut out = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let mut chunk = |bytes: &[u8]| {
        write!(out, "{:x}\r\n", bytes.len()).unwrap();
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    };
    for cut in [1, 2, 3, 5, 7, 16, 43, 100] {
        chunk(b"data: ");
        body.chunks(cut).for_each(&mut chunk);
        chunk(b"\n\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

fn bytes_of(answer: &Answer) -> Vec<u8> {
    [format!("{} {:?}\n", answer.status, answer.headers).as_bytes(), &answer.body].concat()
}

#[test]
fn the_search_finds_what_is_there() {
    let request = Seen { head: "GET /v1/body HTTP/1.1\r\n\r\n".into(), body: Vec::new() };
    let all: Vec<_> = forms().iter().map(|needle| needle.form.clone()).collect();
    assert_eq!(found(&forms(), &careless(&request)), all);
    assert!(all.len() >= 12, "{all:?}");
}

#[test]
fn no_output_of_one_process_has_the_key_or_a_token() {
    search(Plan { dev: true, ..Plan::default() });
}

#[test]
fn no_output_of_two_processes_has_the_key_or_a_token() {
    search(Plan { apart: true, ..Plan::default() });
}

fn search(plan: Plan) {
    let api = Recorder::answering(careless);
    let house = House::build(Files::new(), &api.address, KEY, plan);
    let app = house.run_app(&["/paid/v1/body"], &[]).ends(0);
    let (genuine, patched) = (house.token(), Attester::patched().token(&house.service));
    let other = needles::of_secret("a client's own credential", "client-credential-0123456789");

    let mut outputs: Vec<(String, Vec<u8>)> = vec![("the app".into(), format!("{}{}", app.out, app.err).into_bytes())];
    // Through the gateway, in every way in which it can answer.
    for (what, token, path) in [
        ("echo in headers", &genuine, "/paid/v1/headers"),
        ("echo in a body", &genuine, "/paid/v1/body"),
        ("echo in an error", &genuine, "/paid/v1/broken"),
        ("echo in a stream", &genuine, "/paid/v1/stream"),
        ("a failed app", &patched, "/paid/v1/body"),
        ("an unknown route", &genuine, "/nowhere"),
        ("an operation that is none", &genuine, "/paid/v2"),
        ("an ambiguous path", &genuine, "/paid/v1/%2e%2e/body"),
        ("the own API", &genuine, "/own/body"),
    ] {
        let query = format!("{path}?token={token}&key=client-credential-0123456789");
        let headers = [
            ("Assay-Token", token.as_str()),
            ("Authorization", "Bearer client-credential-0123456789"),
            ("X-Api-Key", KEY),
        ];
        let answer = house.get(&query, &headers);
        if what == "the own API" {
            // It gets no key; what it makes up itself is not ours to mask. So much for the search: here it finds.
            assert_eq!(found(&forms(), &answer.body).len(), forms().len());
        } else {
            outputs.push((what.into(), bytes_of(&answer)));
        }
        let expected = match what {
            "echo in an error" => 500,
            "a failed app" => 403,
            "an unknown route" | "an operation that is none" => 404,
            "an ambiguous path" => 400,
            _ => 200,
        };
        assert_eq!(answer.status, expected, "{what}: {}", answer.text());
    }
    let several = house.get("/paid/v1/body", &[("Assay-Token", &genuine), ("Assay-Token", &genuine)]);
    assert_eq!(several.status, 403);
    outputs.push(("two tokens".into(), bytes_of(&several)));

    // What was masked keeps its length; what was not is as it was.
    let raw = careless(&Seen { head: "GET /v1/body HTTP/1.1\r\n\r\n".into(), body: Vec::new() });
    let whole = raw.windows(4).position(|w| w == b"\r\n\r\n").map(|at| raw.len() - at - 4).unwrap();
    let body = &house.get_as(&genuine, "/paid/v1/body").body;
    assert_eq!(body.len(), whole);
    assert!(body.iter().filter(|byte| **byte == b'*').count() > 300, "{}", String::from_utf8_lossy(body));

    // The key did go where it belongs, once each time and never together with what the client sent as one.
    let arrived = api.seen();
    let paid: Vec<_> =
        arrived.iter().filter(|seen| !seen.values("x-api-key").is_empty() && !seen.line().contains("/own")).collect();
    assert!(paid.len() >= 6);
    assert!(paid.iter().all(|seen| seen.values("x-api-key") == [KEY]), "{paid:?}");
    let in_query = |seen: &Seen| seen.head.replacen(&format!("token={genuine}"), "", 1);
    let token = tokens(&[("the genuine token", &genuine), ("the failed token", &patched)]);
    for seen in &arrived {
        // A query is the client's own; beyond it nothing of the token goes up.
        assert_eq!(found(&token, in_query(seen).as_bytes()), [""; 0], "{}", seen.head);
    }

    // Commands, and reloads that fail.
    let config = house.config();
    let put = put_key(&house.files, "second", &api.address, KEY).ends(0);
    let wrong = assay_fed(
        &[&"key", &"put", &"Wrong Name", &"--to", &"https://a.example", &"--path", &"/**", &"-c", &config],
        KEY.as_bytes(),
    );
    let list = assay(&[&"key", &"list", &"-c", &config]).ends(0);
    let check = assay(&[&"--json", &"check", &"-c", &config]).ends(0);
    let sealed = house.files.at("keys.sealed");
    let kept = std::fs::read(&sealed).unwrap();
    let mut flipped = kept.clone();
    let at = kept.len() / 2;
    flipped[at] ^= 1;
    std::fs::write(&sealed, &flipped).unwrap();
    let refused = house.reload();
    assert_eq!(refused.status, 409);
    std::fs::write(&sealed, &kept).unwrap();
    assert_eq!(house.reload().status, 200);
    for ran in [put, wrong, list, check] {
        outputs.push((ran.words.clone(), format!("{}\n{}", ran.out, ran.err).into_bytes()));
    }
    outputs.push(("a refused reload".into(), bytes_of(&refused)));

    // The admin API, with a token of its own, right and wrong, and a test token.
    let admin_file = house.files.at("anna.token");
    let out = admin_file.to_str().unwrap();
    outputs.push((
        "admin token create".into(),
        told(&house.here(&["admin", "token", "create", "anna", "--role", "admin", "--out", out]).ends(0)),
    ));
    let admin_token = std::fs::read_to_string(&admin_file).unwrap().trim().to_owned();
    let url = format!("http://{}", house.service_admin());
    for words in [["admin", "token", "list"], ["audit", "list", "--json"], ["app", "show", "nothing"]] {
        let ran = assay(&[&words[0], &words[1], &words[2], &"--remote", &url, &"--token-file", &admin_file]);
        outputs.push((ran.words.clone(), told(&ran)));
    }
    let mistaken = format!("Bearer {admin_token}x");
    for sent in [format!("Bearer {admin_token}"), mistaken, admin_token.clone()] {
        let answer = wire::get(&house.service_admin(), "/admin/v1/tokens", &[("Authorization", &sent)]);
        outputs.push(("the admin API".into(), bytes_of(&answer)));
        // As a careless operator types it: into the address, and to the wrong door.
        let answer = house.get(&format!("/own/x?token={admin_token}"), &[("Authorization", &sent)]);
        outputs.push(("an admin token at the public door".into(), bytes_of(&answer)));
    }
    std::fs::remove_file(&admin_file).unwrap();

    // What the processes say, and what they keep.
    let metrics = wire::get(&house.admin, "/metrics", &[]);
    assert!(metrics.text().contains("assay_scrubbed_total"), "{}", metrics.text());
    outputs.push(("/metrics".into(), bytes_of(&metrics)));
    let status = wire::get(&house.admin, "/status", &[]);
    assert!(status.text().contains(KEY_NAME));
    outputs.push(("/status".into(), bytes_of(&status)));
    let _ = house.log_line(0, |line| line["path"] == "/own/body" && line["status"] == 200);
    for (name, program) in [("gateway", Some(&house.gateway)), ("service", house.service_program.as_ref())] {
        let Some(program) = program else { continue };
        outputs.push((format!("stdout of the {name}"), program.out().text().into_bytes()));
        outputs.push((format!("stderr of the {name}"), program.err().text().into_bytes()));
        outputs.push((
            format!("arguments of the {name}"),
            std::fs::read(format!("/proc/{}/cmdline", program.id())).unwrap(),
        ));
    }
    // No core of it is ever written, and its limit can't be raised again.
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", house.gateway.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    // Each request that had the key is in the audit log of keys, which is whole, and told by what it may tell.
    until("the audit log", || {
        let uses = house.files.all().into_iter().filter(|(path, _)| path.to_string_lossy().contains("gateway.0"));
        let uses = uses.map(|(_, text)| String::from_utf8_lossy(&text).matches("\"what\":\"key_use\"").count());
        (uses.sum::<usize>() >= paid.len()).then_some(())
    });
    let audited = assay(&[&"audit", &"verify", &"--keys", &"-c", &config]).ends(0);
    assert!(audited.out.contains("gateway: ") && audited.out.contains("intact"), "{}", audited.out);
    outputs.push((audited.words.clone(), told(&audited)));
    let files = house.files.all();
    assert!(
        files.iter().any(|(path, _)| path.ends_with("assay.db"))
            && files.iter().any(|(path, _)| path.ends_with("keys.sealed"))
    );
    outputs.extend(files.into_iter().map(|(path, bytes)| (path.display().to_string(), bytes)));

    let mut needles = needles::of_secret("the key", KEY);
    needles.extend(needles::of_secret("the admin token", &admin_token));
    needles.extend(token);
    for (what, bytes) in &outputs {
        assert_eq!(found(&needles, bytes), [""; 0], "in {what}: {}", String::from_utf8_lossy(bytes));
        // The API writes the client's own credential nowhere, so wherever it is found, we wrote it.
        assert_eq!(found(&other, bytes), [""; 0], "in {what}: {}", String::from_utf8_lossy(bytes));
    }
}

/// Both streams of a command.
fn told(ran: &Ran) -> Vec<u8> {
    format!("{}\n{}", ran.out, ran.err).into_bytes()
}

/// A token's text, and the two parts of it that are its own.
fn tokens(named: &[(&str, &str)]) -> Vec<Needle> {
    let parts = named.iter().flat_map(|(name, token)| {
        let mut parts: Vec<_> = token.split('.').skip(1).collect();
        parts.push(token);
        parts.into_iter().map(move |part| needles::of_text(name, part))
    });
    parts.collect()
}

#[test]
fn an_answer_that_no_guard_could_read_is_not_passed_on() {
    // A body in a coding that was asked of nobody, and a part of a body: neither can be searched.
    let api = Recorder::answering(|request| {
        if request.line().contains("/v1/part") {
            return b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-3/10\r\nContent-Length: 4\r\n\r\nabcd"
                .to_vec();
        }
        if request.line().contains("/v1/coded") {
            return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00".to_vec();
        }
        ok("text/plain", "plain")
    });
    let house = House::together(Files::new(), &api.address, KEY);
    let token = house.token();
    let ask = |path: &str| {
        house.get(path, &[("Assay-Token", &token), ("Range", "bytes=0-3"), ("Accept-Encoding", "gzip, br")])
    };
    assert_eq!(ask("/paid/v1/plain").status, 200);
    let sent = api.last();
    assert_eq!(sent.values("range"), [""; 0]);
    assert!(
        sent.values("accept-encoding").iter().all(|value| !value.contains("gzip") && !value.contains("br")),
        "{}",
        sent.head
    );
    for path in ["/paid/v1/part", "/paid/v1/coded"] {
        let answer = ask(path);
        assert_eq!((answer.status, answer.code()), (502, "upstream_refused".to_owned()), "{path}");
    }
    assert_eq!(
        house.get("/own/part", &[("Assay-Token", &token), ("Range", "bytes=0-3")]).status,
        200,
        "no key, no guard"
    );
    assert_eq!(api.last().values("range"), ["bytes=0-3"]);
}
