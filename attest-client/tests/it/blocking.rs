//! The blocking client, on every kind of thread.

use crate::fake::{Fake, client};

#[test]
fn works_on_a_plain_thread() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fake = runtime.block_on(Fake::start(&[]));
    let client = client(&fake).0.build_blocking().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| assert_eq!(client.fetch_token().unwrap().as_str(), "token.1.x"));
        }
    });
    assert_eq!(client.fetch_token_bound(b"Bearer alice").unwrap().as_str(), "token.2.x");
    assert_eq!(fake.counts(), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn works_and_ends_on_another_runtimes_thread_without_a_panic() {
    let fake = Fake::start(&[]).await;
    let client = client(&fake).0.build_blocking().unwrap();
    assert_eq!(client.fetch_token().unwrap().as_str(), "token.1.x");
    drop(client);
}
