//! Challenges: used once, in time, of this start; and the same answer for whoever lost his.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use attest_core::verdict::Verdict;

use crate::{
    attester::{Attester, send},
    gateway::verify,
    world::{Folder, KEY_SET},
};

#[tokio::test]
async fn a_used_challenge_is_refused_for_another_transcript_and_repeated_for_the_same() {
    let folder = Folder::new();
    let world = folder.start().await;
    let attester = Attester::genuine();
    let challenge = world.challenge().await;
    let request = attester.request(&challenge, |_| ());
    let first = send(&world, &request).await;
    assert_eq!(send(&world, &request).await.body, first.body);

    let other = attester.request(&challenge, |request| request.binding = Some([1; 32]));
    let refused = send(&world, &other).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "challenge_spent"));

    // The same transcript signed anew by the same device key (ECDSA is randomised): the same request, built again.
    let mut again = request.clone();
    again.signature = attester.key.sign(&request.transcript(KEY_SET)).unwrap();
    assert_ne!(again.signature, request.signature);
    assert_eq!(send(&world, &again).await.body, first.body);

    // Whoever merely learned the transcript gets nothing.
    let mut stranger = request.clone();
    stranger.signature = [1; 64];
    assert_eq!(send(&world, &stranger).await.code(), "challenge_spent");

    world.clock.advance(Duration::from_secs(31));
    assert_eq!(send(&world, &request).await.code(), "challenge_spent");
}

#[tokio::test]
async fn an_answer_to_a_forged_signature_is_not_repeated_to_the_owner_of_the_key() {
    let folder = Folder::new();
    let world = folder.start().await;
    let request = Attester::genuine().request(&world.challenge().await, |_| ());
    let mut forged = request.clone();
    forged.signature = [1; 64];
    let token = send(&world, &forged).await.token();
    assert_eq!(verify(&world, &token).await.verdict(), Verdict::Failed);
    // He is told to take a new challenge, and does not go on with a decoy.
    assert_eq!(send(&world, &request).await.code(), "challenge_spent");
    assert_eq!(send(&world, &forged).await.token(), token);
}

#[tokio::test]
async fn a_challenge_that_is_over_or_not_ours_is_410() {
    let folder = Folder::new();
    let world = folder.start().await;
    let attester = Attester::genuine();
    let challenge = world.challenge().await;
    world.clock.advance(Duration::from_secs(61));
    let late = send(&world, &attester.request(&challenge, |_| ())).await;
    assert_eq!((late.status, late.code().as_str()), (410, "challenge_expired"));

    let mut forged = world.challenge().await;
    forged[3] ^= 1;
    for challenge in [forged.as_slice(), &forged[..72], b"x"] {
        let refused = send(&world, &attester.request(challenge, |_| ())).await;
        assert_eq!((refused.status, refused.code().as_str()), (410, "challenge_expired"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_requests_for_one_challenge_one_is_appraised() {
    let folder = Folder::new();
    let world = folder.start().await;
    let attester = Attester::genuine();
    let challenge = world.challenge().await;

    // 32 different transcripts, each sent twice at the same time.
    let world = &world;
    let requests: Vec<_> = (0..32_u8)
        .map(|number| Arc::new(attester.request(&challenge, |request| request.binding = Some([number; 32]))))
        .flat_map(|request| [Arc::clone(&request), request])
        .collect();
    let replies = futures_join(requests.iter().map(|request| send(world, request))).await;
    let tokens: BTreeSet<_> = replies.iter().filter(|reply| reply.status == 200).map(|reply| reply.token()).collect();
    assert_eq!(tokens.len(), 1);
    assert!(replies.iter().filter(|reply| reply.status == 200).count() <= 2);
    assert!(replies.iter().filter(|reply| reply.status != 200).all(|reply| reply.code() == "challenge_spent"));
    wait_for(world, "assay_attestations_total{platform=\"linux\",outcome=\"passed\",reason=\"none\"} 1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_equal_requests_one_is_appraised_and_all_get_its_answer() {
    let folder = Folder::new();
    let world = folder.start().await;
    let request = Attester::genuine().request(&world.challenge().await, |_| ());
    let replies = futures_join((0..64).map(|_| send(&world, &request))).await;
    let tokens: BTreeSet<_> = replies.iter().map(|reply| reply.token()).collect();
    assert_eq!(tokens.len(), 1);
    wait_for(&world, "assay_attestations_total{platform=\"linux\",outcome=\"passed\",reason=\"none\"} 1").await;
    assert!(world.handle.metrics_text().contains("assay_answers_repeated_total 63"));
}

/// Waits until the metrics have this line; outcomes are counted after their answers have left.
pub async fn wait_for(world: &crate::world::World<'_>, line: &str) {
    let began = tokio::time::Instant::now();
    while !world.handle.metrics_text().lines().any(|there| there == line) {
        assert!(began.elapsed() < Duration::from_secs(5), "{line} not in\n{}", world.handle.metrics_text());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Runs all at once on this task, which is enough: the service has threads of its own.
pub async fn futures_join<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut running {
            if output.is_none()
                && let std::task::Poll::Ready(done) = future.as_mut().poll(context)
            {
                *output = Some(done);
            }
        }
        if running.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    running.into_iter().map(|(_, output)| output.unwrap()).collect()
}
