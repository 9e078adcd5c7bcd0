//! One machine makes an answer, every machine can give it.

use std::time::Duration;

use shared_state::{Away, Claim, MAX_ANSWER_BYTES, Stored};
use test_servers::Redis;

use crate::bench::{PATIENT, machine, until};

const KEEP: Duration = Duration::from_secs(30);

#[tokio::test]
async fn one_claims_and_all_get_the_answer_byte_for_byte() {
    let Some(redis) = Redis::start() else { return };
    let (one, two) = (machine(&redis, PATIENT).await, machine(&redis, PATIENT).await);
    assert_eq!(two.answer_get([1; 32]).await, Ok(Stored::Nothing));
    assert_eq!(one.answer_claim([1; 32], KEEP).await, Ok(Claim::First));
    assert_eq!(two.answer_claim([1; 32], KEEP).await, Ok(Claim::Again));
    assert_eq!(two.answer_get([1; 32]).await, Ok(Stored::Claimed));
    let sealed: Vec<u8> = (0..=255).collect();
    one.answer_put([1; 32], &sealed, KEEP).await.unwrap();
    assert_eq!(two.answer_get([1; 32]).await, Ok(Stored::Answer(sealed.clone())));
    assert_eq!(two.answer_claim([1; 32], KEEP).await, Ok(Claim::Again));
    // Giving a claim up does not take an answer away.
    two.answer_release([1; 32]).await.unwrap();
    assert_eq!(two.answer_get([1; 32]).await, Ok(Stored::Answer(sealed)));
    assert_eq!(two.answer_get([2; 32]).await, Ok(Stored::Nothing));
}

#[tokio::test]
async fn a_claim_that_is_given_up_or_over_is_free_again() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    assert_eq!(machine.answer_claim([1; 32], KEEP).await, Ok(Claim::First));
    machine.answer_release([1; 32]).await.unwrap();
    assert_eq!(machine.answer_get([1; 32]).await, Ok(Stored::Nothing));
    assert_eq!(machine.answer_claim([1; 32], Duration::from_millis(50)).await, Ok(Claim::First));
    until("the claim is over", || async { machine.answer_claim([1; 32], KEEP).await == Ok(Claim::First) }).await;
}

#[tokio::test]
async fn an_answer_that_is_empty_or_too_long_is_not_kept() {
    let Some(redis) = Redis::start() else { return };
    let machine = machine(&redis, PATIENT).await;
    for bad in [vec![], vec![0; MAX_ANSWER_BYTES + 1]] {
        assert_eq!(machine.answer_put([1; 32], &bad, KEEP).await, Err(Away));
    }
    assert_eq!(machine.answer_get([1; 32]).await, Ok(Stored::Nothing));
}
