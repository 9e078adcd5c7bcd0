//! The key-encryption key comes from Vault's transit engine: asked at start and after a rotation, never for a request.

use e2e::command::{assay, assay_fed};
use e2e::files::Files;
use e2e::house::{House, KEY_NAME};
use e2e::upstream::Recorder;
use e2e::wait::until;
use test_servers::vendor::{Fault, vault};

use super::{PAID, beside, start, uses};

const FIRST: &str = "sk_first_0123456789abcdef0123456789";
const SECOND: &str = "sk_second_0123456789abcdef012345678";
const TOKEN: &str = "hvs.canary-of-the-vault-token-0123456789";

#[test]
fn a_gateway_is_unlocked_by_vault_and_serves_without_it() {
    let (api, engine) = (Recorder::start(), vault::start(TOKEN));
    let house = House::apart(Files::new(), &api.address, "of-the-house-s-own-0123456789");
    let token = house.token();
    house.files.private("secrets/vault.token", TOKEN);
    house.files.private("secrets/other.token", "hvs.somebody-else-s-0123456789");
    let unlock = |token_file: &str| {
        format!(
            "unlock: {{ vault: {{ url: \"{}\", key: assay, token_file: {token_file}, private_addresses: [127.0.0.0/8], danger_plaintext_loopback: true }} }}",
            engine.url()
        )
    };
    for (name, token_file) in [("v", "secrets/vault.token"), ("w", "secrets/other.token")] {
        beside(&house.files, name, |yaml| {
            yaml.replacen("unlock: { file: secrets/keys-unlock.key }", &unlock(token_file), 1).replacen(
                "store: keys.sealed",
                "store: vault.sealed",
                1,
            )
        });
    }
    let (config, origin) = (house.files.at("v.yaml"), format!("http://{}", api.address));
    let put = |secret: &str| {
        assay_fed(
            &[
                &"key",
                &"put",
                &KEY_NAME,
                &"--to",
                &origin,
                &"--header",
                &"x-api-key",
                &"--template",
                &"{key}",
                &"--path",
                &"/v1/**",
                &"-c",
                &config,
            ],
            secret.as_bytes(),
        )
    };
    put(FIRST).ends(0);
    let gateway = start(&house.files, "v");
    let before = engine.calls().len();
    for _ in 0..5 {
        assert_eq!(gateway.get_as(&token, PAID).status, 200);
        assert_eq!(api.last().values("x-api-key"), [FIRST]);
    }
    assert_eq!(engine.calls().len(), before, "no request asks Vault");

    // A new key from Vault, and the gateway follows.
    assay(&[&"kek", &"rotate", &"-c", &config]).ends(0);
    put(SECOND).ends(0);
    assay(&[&"key", &"rotate", &KEY_NAME, &"-c", &config]).ends(0);
    uses(&gateway.admin, 2);
    assert_eq!(gateway.get_as(&token, PAID).status, 200);
    assert_eq!(api.last().values("x-api-key"), [SECOND]);

    // Vault is sealed: what runs goes on, a start and a command say whose fault it is.
    engine.fail_next(vec![Fault::Status(503); 50]);
    assert_eq!(gateway.get_as(&token, PAID).status, 200);
    assay(&[&"gateway", &"-c", &config]).ends(1).complains(&["vault"]);
    let refused = put("sk_third_0123456789abcdef0123456789");
    assert!(refused.code != 0 && refused.err.contains("vault"), "{}", refused.err);
    until("the faults to be over", || (assay(&[&"key", &"list", &"-c", &config]).code == 0).then_some(()));
    // Another's token opens nothing, and is not told.
    let refused = assay(&[&"gateway", &"-c", &house.files.at("w.yaml")]).ends(1).complains(&["403"]);
    assert!(!refused.err.contains("hvs."), "{}", refused.err);
    let said = format!("{}{}", gateway.program.out().text(), gateway.program.err().text());
    assert!(!said.contains("hvs.") && !said.contains(FIRST) && !said.contains(SECOND));
    let sealed = std::fs::read_to_string(house.files.at("vault.sealed")).unwrap();
    assert!(sealed.contains("vault:v1:") && !sealed.contains(TOKEN));
}
