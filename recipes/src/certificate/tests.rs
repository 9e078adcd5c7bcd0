use super::*;
use crate::kit::{SECRET, Sample, Seen};
use crate::{Recipe, RecipeText};

fn certificate(key: &rcgen::KeyPair) -> String {
    rcgen::CertificateParams::new(vec!["a".into()]).unwrap().self_signed(key).unwrap().pem()
}

fn key() -> rcgen::KeyPair {
    rcgen::KeyPair::generate().unwrap()
}

fn refused(text: &str) -> String {
    ClientCertificate::parse(text.as_bytes()).err().unwrap().to_string()
}

#[test]
fn refuses_a_chain_without_its_key_or_with_another_one() {
    let (one, other) = (key(), key());
    let (chain, private) = (certificate(&one), one.serialize_pem());
    assert!(refused("0123456789abcdef").contains("no certificate"));
    assert!(refused(&chain).contains("no private key"));
    assert!(refused(&private).contains("no certificate"));
    assert!(refused(&format!("{chain}{}", other.serialize_pem())).contains("not the one of the first certificate"));
    assert!(refused(&format!("{}{chain}{private}", certificate(&other))).contains("not the one"));
    assert!(refused(&format!("{chain}{private}{private}")).contains("two private keys"));
    assert!(refused(&format!("{chain}{}", private.replace("PRIVATE", "ENCRYPTED PRIVATE"))).contains("encrypted"));
    assert!(refused(&format!("{chain}{private}{}", crate::kit::pem("PUBLIC KEY", b"x"))).contains("neither"));
    assert!(refused(&format!("{chain}{private}-----BEGIN CERTIFICATE-----\nAA")).contains("no end"));
    assert!(refused(&format!("{}{private}", crate::kit::pem("CERTIFICATE", b"junk"))).contains("not the one"));
}

#[test]
fn chain_and_key_come_apart_in_whichever_order_they_were() {
    let (leaf, issuer) = (key(), key());
    let (chain, private) = (format!("{}{}", certificate(&leaf), certificate(&issuer)), leaf.serialize_pem());
    for text in [format!("{chain}{private}"), format!("{private}\n\n{chain}")] {
        let recipe = Recipe::parse(&RecipeText::ClientCertificate {}).unwrap();
        let credential = recipe.credential(text.as_bytes()).unwrap();
        let (seen_chain, seen_key) = credential.certificate().unwrap();
        let plain = |text: &[u8]| String::from_utf8(text.to_vec()).unwrap().replace(['\r', '\n'], "");
        assert_eq!(plain(seen_chain), plain(chain.as_bytes()));
        assert_eq!(plain(seen_key), plain(private.as_bytes()));
        // Nothing of it goes into the request.
        assert_eq!(Seen::of(&credential.apply(&Sample::get("/").draft()).unwrap()), Seen::default());
        assert!(!format!("{credential:?}").contains("BEGIN"));
    }
}

#[test]
fn rsa_and_edwards_keys_are_known_too() {
    let rsa = rcgen::KeyPair::from_pem(&crate::kit::rsa().0).unwrap();
    let edwards = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    for key in [rsa, edwards] {
        let text = format!("{}{}", certificate(&key), key.serialize_pem());
        assert!(ClientCertificate::parse(text.as_bytes()).is_ok());
    }
}

#[test]
fn no_other_recipe_has_a_certificate() {
    let text = RecipeText::Header { name: "a".into(), template: "{key}".into() };
    assert!(Recipe::parse(&text).unwrap().credential(SECRET).unwrap().certificate().is_none());
}
