//! An upstream of a fixed capacity: so many requests at once, each for a random time, the rest waits in one line.
//!
//! In: a port, the number of workers, the mean of the exponential service time in milliseconds. Out: 200 with a small body
//! for every request that was worked on, in the order in which they came; `GET /slow/N` makes every time from then on N
//! times as long. A client that leaves gives its place back, and the work it was on is lost: as with a real backend.
//!
//! usage: bench-capacity PORT WORKERS MEAN-MILLISECONDS

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What all connections share.
struct Backend {
    workers: Semaphore,
    mean: Duration,
    slower: AtomicU32,
    /// State of the generator of service times.
    random: AtomicU64,
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{\"ok\":  true}";
/// A head of more than this is nobody's of this bench.
const MOST_HEAD: usize = 16 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, workers, mean] = arguments.as_slice() else {
        return Err("usage: bench-capacity PORT WORKERS MEAN-MILLISECONDS".into());
    };
    let backend = Arc::new(Backend {
        workers: Semaphore::new(workers.parse()?),
        mean: Duration::from_millis(mean.parse()?),
        slower: AtomicU32::new(1),
        random: AtomicU64::new(0x9E37_79B9_7F4A_7C15),
    });
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let backend = Arc::clone(&backend);
        // A connection that breaks is the bench's own doing.
        tokio::spawn(async move { backend.serve(stream).await.ok() });
    }
}

impl Backend {
    async fn serve(&self, mut stream: TcpStream) -> Outcome<()> {
        stream.set_nodelay(true)?;
        let mut head = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                    break at + 4;
                }
                if head.len() > MOST_HEAD || stream.read_buf(&mut head).await? == 0 {
                    return Ok(());
                }
            };
            let slower = head.strip_prefix(b"GET /slow/").and_then(|rest| rest.first()).map(|digit| digit - b'0');
            head.drain(..end);
            if let Some(times) = slower {
                self.slower.store(u32::from(times).max(1), Ordering::Relaxed);
            } else if self.work(&mut stream, &mut head).await? {
                return Ok(());
            }
            stream.write_all(ANSWER).await?;
        }
    }

    /// Waits for a worker and works; tells whether the client left meanwhile.
    async fn work(&self, stream: &mut TcpStream, next: &mut Vec<u8>) -> Outcome<bool> {
        let worked = async {
            let _worker = self.workers.acquire().await;
            tokio::time::sleep(self.service_time()).await;
        };
        tokio::select! {
            biased;
            () = worked => Ok(false),
            read = stream.read_buf(next) => Ok(read? == 0),
        }
    }

    /// Exponential, by SplitMix64: the same times in the same order in every run.
    fn service_time(&self) -> Duration {
        let mut x = self.random.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^= x >> 31;
        #[expect(clippy::cast_precision_loss, reason = "53 bits are kept, which is what a double has")]
        let unit = ((x >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        self.mean.mul_f64(-unit.ln() * f64::from(self.slower.load(Ordering::Relaxed)))
    }
}
