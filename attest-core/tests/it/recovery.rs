//! Why `decoy` needs HMAC: from an ECDSA signature anyone computes which public keys can have made it. Two tokens of one
//! key agree on one of them; with the token of a decoy key they would agree on none, and the client would know.

use std::collections::HashSet;

use attest_core::b64u;
use attest_core::token::Algorithm;
use ecdsa::RecoveryId;
use p256::ecdsa::{Signature, VerifyingKey};

use crate::forms::{signing, token};

/// The public keys that can have made the token's signature (SEC 1 version 2, section 4.1.6).
fn candidates(token: &str) -> HashSet<Vec<u8>> {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let bytes = b64u::decode(signature.as_bytes(), 64).unwrap();
    let signature = Signature::from_slice(&bytes).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, input.as_bytes());
    (0..4)
        .filter_map(RecoveryId::from_byte)
        .filter_map(|id| VerifyingKey::recover_from_prehash(digest.as_ref(), &signature, id).ok())
        .map(|key| key.to_encoded_point(false).as_bytes().to_vec())
        .collect()
}

#[test]
fn two_tokens_give_away_the_public_key_and_so_a_decoy_of_another_key() {
    let (genuine, decoy) = (signing(Algorithm::ES256), signing(Algorithm::ES256));
    let jwk = genuine.public_jwk().unwrap();
    let coordinate = |name: &str| b64u::decode_array::<32>(jwk[name].as_str().unwrap().as_bytes()).unwrap();
    let public = [&[4][..], &coordinate("x"), &coordinate("y")].concat();

    let one = candidates(&token(&genuine, true, None, [1; 16]));
    let two = candidates(&token(&genuine, true, None, [2; 16]));
    let agreed: Vec<_> = one.intersection(&two).collect();
    assert_eq!(agreed, [&public], "the key itself, from nothing but two tokens");

    let failed = candidates(&token(&decoy, false, None, [3; 16]));
    assert!(failed.is_disjoint(&one) && failed.is_disjoint(&two), "a token by a decoy key stands out at once");
}
