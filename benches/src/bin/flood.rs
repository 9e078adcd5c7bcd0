//! Open-loop load: requests leave at the moments that were drawn for them, whether earlier ones were answered or not.
//!
//! In, as JSON on stdin: where to, for how long, and for each stream of clients its rate and its clients. Out, as JSON on
//! stdout: for each stream how many were offered and served in time, latencies counted from the moment that was drawn, and
//! the same second by second. A closed loop would slow down with the server, and not count the waiting.
//!
//! ```json
//! { "target": "127.0.0.1:19020", "seconds": 20, "warm_up": 3, "deadline_ms": 1000, "streams": [
//!   { "name": "attested", "rate": 1250, "clients": [ { "address": "127.2.0.1", "header": "Approov-Token: …" } ] } ] }
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until, timeout_at};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// One client: where it connects from, what it sends, and the connections it keeps.
struct Client {
    address: SocketAddr,
    request: Vec<u8>,
    idle: RefCell<Vec<TcpStream>>,
}

/// What became of one request.
struct Answered {
    /// Milliseconds after the beginning at which it was due.
    due: u64,
    /// Status; 0 for none in time, or a broken connection.
    status: u16,
    /// Microseconds since it was due.
    took: u64,
}

/// One kind of clients.
struct Stream {
    name: String,
    rate: f64,
    clients: Vec<Rc<Client>>,
    answers: Rc<RefCell<Vec<Answered>>>,
}

struct Plan {
    target: SocketAddr,
    seconds: u64,
    warm_up: u64,
    deadline: Duration,
    streams: Vec<Stream>,
}

fn main() -> Outcome<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let plan = Plan::read(&serde_json::from_str(&text)?).ok_or("flood: the plan on stdin is not complete")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begin = runtime.block_on(LocalSet::new().run_until(plan.run()));
    let streams: BTreeMap<&str, Value> =
        plan.streams.iter().map(|stream| (stream.name.as_str(), stream.report(&plan))).collect();
    println!("{}", json!({ "took": begin.elapsed().as_secs_f64(), "streams": streams }));
    Ok(())
}

impl Plan {
    fn read(plan: &Value) -> Option<Self> {
        let target: SocketAddr = plan["target"].as_str()?.parse().ok()?;
        let streams = plan["streams"].as_array()?.iter().map(|stream| Stream::read(stream, target));
        Some(Self {
            target,
            seconds: plan["seconds"].as_u64()?,
            warm_up: plan["warm_up"].as_u64()?,
            deadline: Duration::from_millis(plan["deadline_ms"].as_u64()?),
            streams: streams.collect::<Option<_>>()?,
        })
    }

    /// Sends everything when it is due, and waits for the last answers.
    async fn run(&self) -> Instant {
        let begin = Instant::now() + Duration::from_millis(100);
        let end = begin + Duration::from_secs(self.warm_up + self.seconds);
        let senders: Vec<_> = (1_u64..)
            .zip(&self.streams)
            .map(|(seed, stream)| {
                let (clients, answers) = (stream.clients.clone(), Rc::clone(&stream.answers));
                let (target, deadline, rate) = (self.target, self.deadline, stream.rate);
                tokio::task::spawn_local(async move {
                    let mut random = Random(seed.wrapping_mul(0xD1B5_4A32_D192_ED03));
                    let mut due = begin;
                    loop {
                        due += Duration::from_secs_f64(-random.unit().ln() / rate);
                        if due >= end {
                            return;
                        }
                        sleep_until(due).await;
                        let Some(client) = random.one_of(&clients).cloned() else { return };
                        let answers = Rc::clone(&answers);
                        tokio::task::spawn_local(async move {
                            let status = timeout_at(due + deadline, client.ask(target)).await;
                            let status = status.map_or(0, |answer| answer.unwrap_or(0));
                            let took = micros(due.elapsed());
                            answers.borrow_mut().push(Answered { due: micros(due - begin) / 1000, status, took });
                        });
                    }
                })
            })
            .collect();
        for sender in senders {
            let _ = sender.await;
        }
        sleep_until(end + self.deadline + Duration::from_millis(50)).await;
        begin
    }
}

impl Stream {
    fn read(stream: &Value, target: SocketAddr) -> Option<Self> {
        let clients = stream["clients"].as_array()?.iter().map(|client| {
            let address: IpAddr = client["address"].as_str()?.parse().ok()?;
            let header = match client["header"].as_str() {
                Some(header) => format!("{header}\r\n"),
                None => String::new(),
            };
            let request = format!("GET /v1/x HTTP/1.1\r\nhost: {target}\r\n{header}\r\n").into_bytes();
            Some(Rc::new(Client { address: SocketAddr::new(address, 0), request, idle: RefCell::default() }))
        });
        Some(Self {
            name: stream["name"].as_str()?.to_owned(),
            rate: stream["rate"].as_f64().filter(|rate| *rate > 0.0)?,
            clients: clients.collect::<Option<_>>()?,
            answers: Rc::default(),
        })
    }

    fn report(&self, plan: &Plan) -> Value {
        let answers = self.answers.borrow();
        let counted = || answers.iter().filter(|answer| answer.due >= plan.warm_up * 1000);
        let mut statuses: BTreeMap<String, u64> = BTreeMap::new();
        for answer in counted() {
            *statuses.entry(answer.status.to_string()).or_default() += 1;
        }
        let seconds: Vec<Value> = (0..plan.warm_up + plan.seconds)
            .map(|second| {
                let of: Vec<&Answered> = answers.iter().filter(|answer| answer.due / 1000 == second).collect();
                let served = times(of.iter().copied());
                json!({ "offered": of.len(), "served": served.len(), "p50_ms": share(&served, 50), "p99_ms": share(&served, 99) })
            })
            .collect();
        let served = times(counted());
        json!({
            "offered": counted().count(), "served": served.len(), "statuses": statuses,
            "p50_ms": share(&served, 50), "p90_ms": share(&served, 90), "p99_ms": share(&served, 99),
            "seconds": seconds,
        })
    }
}

/// Times of what was served, sorted.
fn times<'a>(answers: impl Iterator<Item = &'a Answered>) -> Vec<u64> {
    let mut times: Vec<u64> = answers.filter(|answer| answer.status == 200).map(|answer| answer.took).collect();
    times.sort_unstable();
    times
}

/// A percentile in milliseconds; nothing of nothing.
fn share(sorted: &[u64], percent: usize) -> Option<f64> {
    let at = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a second")]
    sorted.get(at).map(|micros| *micros as f64 / 1000.0)
}

impl Client {
    async fn ask(&self, target: SocketAddr) -> Outcome<u16> {
        let kept = self.idle.borrow_mut().pop();
        let mut stream = match kept {
            Some(stream) => stream,
            None => {
                let socket = TcpSocket::new_v4()?;
                socket.bind(self.address)?;
                let stream = socket.connect(target).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        stream.write_all(&self.request).await?;
        let mut answer = Vec::with_capacity(1024);
        let head = loop {
            if let Some(at) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut answer).await? == 0 {
                return Err("closed".into());
            }
        };
        let text = String::from_utf8_lossy(answer.get(..head).unwrap_or_default()).to_ascii_lowercase();
        let status = text.get(9..12).ok_or("no status")?.parse()?;
        let length: usize =
            text.lines().find_map(|line| line.strip_prefix("content-length: ")).ok_or("no length")?.trim().parse()?;
        while answer.len() < head + length {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err("closed".into());
            }
        }
        if !text.contains("connection: close") {
            self.idle.borrow_mut().push(stream);
        }
        Ok(status)
    }
}

/// SplitMix64: the same arrivals in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// Above 0, up to 1.
    fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are kept, which is what a double has")]
        let unit = ((self.next() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        unit
    }

    fn one_of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let at = self.next() % u64::try_from(items.len()).ok()?.max(1);
        items.get(usize::try_from(at).ok()?)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
