//! A budget of tokens over two gateways: right to the unit, whoever asks when and leaves how.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;

use e2e::attester::Attester;
use e2e::replicas::{Gateway, Plan, Replicas};
use e2e::upstream::{Recorder, Seen};
use e2e::wait::{PATIENCE, until};
use e2e::wire::{self, Answer};

const BUDGET: u64 = 1000;
const RESERVE: u64 = 100;

/// Streams an answer as the OpenAI API does, which reports as many tokens as the path's last segment says, before its
/// end; `never` has no end, and reports nothing.
fn model(seen: &Seen) -> Vec<u8> {
    let path = seen.line().split(' ').nth(1).unwrap();
    let used = path.rsplit('/').next().unwrap();
    let chunk = |data: &str| format!("{:x}\r\ndata: {data}\n\n\r\n", data.len() + 8);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let said = chunk(r#"{"choices":[{"delta":{"content":"Hello"}}],"usage":null}"#);
    if used == "never" {
        return format!("{head}{said}").into_bytes();
    }
    let usage = chunk(&format!(
        r#"{{"choices":[],"usage":{{"prompt_tokens":1,"completion_tokens":1,"total_tokens":{used}}}}}"#
    ));
    format!("{head}{said}{usage}{}0\r\n\r\n", chunk("[DONE]")).into_bytes()
}

/// Both gateways with the route `metered` before this API.
fn metered(replicas: &Replicas, api: &Recorder) {
    let route = format!(
        r#"
  metered:
    match: {{ path: "/metered/**" }}
    upstream: model
    policy:
      default: block
      rules:
        - name: genuine
          when: {{ verdict: attested }}
          then: {{ allow: {{ limits: [{{ name: daily, tokens: {BUDGET}, reserve: {RESERVE}, per: all, window: 1d }}] }} }}
"#
    );
    let upstream = format!(
        "\n  model: {{ url: \"http://{}\", private_addresses: [127.0.0.0/8], danger_plaintext_loopback: true }}",
        api.address
    );
    for (name, gateway) in ["gateway.yaml", "gateway-b.yaml"].iter().zip(&replicas.gateways) {
        let text = std::fs::read_to_string(replicas.files.at(name)).unwrap();
        let text = text.replacen("\nupstreams:", &format!("\nupstreams:{upstream}"), 1);
        replicas.files.write(name, text.replacen("\nroutes:", &format!("\nroutes:{route}"), 1));
        let answer = wire::call(&gateway.admin, "POST", "/reload", &[], b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// What a refusal says is left.
fn left(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 429, "{answer:?}");
    let policy = answer.header("ratelimit-policy").unwrap();
    assert!(policy.contains(&format!("\"daily\";q={BUDGET}")) && policy.contains("w=86400"), "{policy}");
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() <= 86_400);
    let limit = answer.header("ratelimit").unwrap();
    let left = limit.split(';').find_map(|part| part.strip_prefix("r=")).unwrap_or_else(|| panic!("{limit}"));
    left.parse().unwrap()
}

/// Asks for a stream without an end, and leaves in the middle of it.
fn leaves(gateway: &Gateway, token: &str) {
    let mut stream = TcpStream::connect(&gateway.public).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&wire::request("GET", "/metered/never", &[("Assay-Token", token)], b"")).unwrap();
    let (mut said, mut piece) = (Vec::new(), [0; 1024]);
    while !String::from_utf8_lossy(&said).contains("Hello") {
        let n = stream.read(&mut piece).unwrap();
        assert!(n > 0, "{}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&piece[..n]);
    }
}

#[test]
fn a_budget_of_tokens_is_right_to_the_unit_over_two_gateways_and_for_streams_that_are_left() {
    let Some(replicas) = Replicas::start(Plan::default()) else { return };
    let api = Recorder::answering(model);
    metered(&replicas, &api);
    let token = Attester::genuine().token(&replicas.services[0].at);
    let [a, b] = &replicas.gateways;
    // One leaves early: that costs the whole reservation.
    leaves(a, &token);
    let used = Mutex::new(RESERVE);
    // Four at each gateway ask at once, until there is no room for one more.
    std::thread::scope(|scope| {
        for (worker, gateway) in [a, b, a, b, a, b, a, b].into_iter().enumerate() {
            let (used, token) = (&used, &token);
            scope.spawn(move || {
                for cost in [37, 11, 64, 3, 100].into_iter().cycle().skip(worker) {
                    let answer = gateway.get_as(token, &format!("/metered/{cost}"));
                    if answer.status == 429 {
                        assert!(left(&answer) < RESERVE, "refused for want of room");
                        return;
                    }
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    assert!(answer.text().contains("[DONE]"), "the stream as it was");
                    *used.lock().unwrap() += cost;
                }
            });
        }
    });
    let mut used = used.into_inner().unwrap();
    // What was reserved and not used comes back, at both; then both tell the same, and exactly what is left.
    for gateway in [a, b, a] {
        until("the budget to be settled", || {
            let answer = gateway.get_as(&token, "/metered/23");
            if answer.status == 200 {
                used += 23;
                return None;
            }
            (left(&answer) + used == BUDGET).then_some(())
        });
        assert!(used <= BUDGET && BUDGET - used < RESERVE, "{used}");
    }
    // The log has what each was charged, a moment later: the sum is the budget's.
    let charged = |gateway: &Gateway| {
        let log = gateway.program.out().text();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.filter_map(|line| line["charged"]["tokens"].as_u64()).sum::<u64>()
    };
    until("all that was charged in the log", || (charged(a) + charged(b) == used).then_some(()));
    for gateway in [a, b] {
        assert_eq!(gateway.metric("assay_shared_state_up"), Some(1.0));
    }
}
