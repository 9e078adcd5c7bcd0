//! Files that change while the gateway runs, as editors and Kubernetes change them; and files that are bad, before and
//! after a start.

use std::os::unix::fs::symlink;
use std::path::Path;

use e2e::attester::Attester;
use e2e::files::Files;
use e2e::house::House;
use e2e::upstream::Recorder;
use e2e::wait::until;

const KEY: &str = "sk_live_0123456789abcdef";
const POLICY: &str = r#"policy: shop
default: block
rules:
  - { name: genuine, when: { verdict: attested }, then: allow }
  - include: rules/readers.yaml
  - { name: offices, when: { verdict: missing, network: { list: offices } }, then: deprioritize }
"#;
const READERS: &str = r#"rules:
  - { name: readers, when: { verdict: missing, path: "/shop/catalogue/**" }, then: deprioritize }
"#;
const ELSEWHERE: &str = "# nobody here\n203.0.113.0/24\n";
const ROUTE: &str = r#"
  shop:
    match: { path: "/shop/**" }
    upstream: own
    policy: policies/shop.yaml
"#;

fn house(api: &Recorder) -> House {
    let house = House::together(Files::new(), &api.address, KEY);
    for (name, text) in
        [("policies/shop.yaml", POLICY), ("policies/rules/readers.yaml", READERS), ("lists/offices.txt", ELSEWHERE)]
    {
        house.files.write(name, text);
    }
    house.change(|text| {
        text.replacen(
            "\nroutes:",
            &format!("\nlists: {{ offices: {{ networks: lists/offices.txt }} }}\nroutes:{ROUTE}"),
            1,
        )
    });
    house
}

/// Waits until nobody's request for a path is answered so.
fn answered(house: &House, path: &str, status: u16) {
    until(&format!("{status} for {path}"), || (house.get(path, &[]).status == status).then_some(()));
}

#[test]
fn a_renamed_policy_included_file_or_list_is_taken_by_itself() {
    let api = Recorder::start();
    let house = house(&api);
    let generation = || house.status()["generation"].as_u64().unwrap();
    answered(&house, "/shop/catalogue/7", 200);
    answered(&house, "/shop/orders", 401);
    let mut before = generation();
    let mut one_more = |what: &str| {
        let now = generation();
        assert_eq!(now, before + 1, "one change of {what}, one generation");
        before = now;
    };
    // As an editor saves: a new file is renamed over the old one.
    house.files.write("policies/shop.yaml", POLICY.replace("default: block", "default: block\nenforcement: monitor"));
    answered(&house, "/shop/orders", 200);
    one_more("the policy");
    house.files.write("policies/shop.yaml", POLICY);
    answered(&house, "/shop/orders", 401);
    one_more("the policy");
    house.files.write("policies/rules/readers.yaml", READERS.replace("catalogue", "pictures"));
    answered(&house, "/shop/pictures/7", 200);
    assert_eq!(house.get("/shop/catalogue/7", &[]).status, 401);
    one_more("the included file");
    house.files.write("lists/offices.txt", "127.0.0.0/8 # here\n");
    answered(&house, "/shop/orders", 200);
    one_more("the list");
    // As other editors do: the file is gone for a moment, and is back with other contents.
    std::fs::rename(house.files.at("lists/offices.txt"), house.files.at("lists/offices.txt~")).unwrap();
    house.files.write("lists/offices.txt", ELSEWHERE);
    answered(&house, "/shop/orders", 401);
    // An included file of an included file, named only now.
    house.files.write("policies/rules/more.yaml", READERS.replace("catalogue", "more").replace("readers", "more"));
    house.files.write("policies/rules/readers.yaml", format!("{READERS}  - include: rules/more.yaml\n"));
    answered(&house, "/shop/more/7", 200);
    house.files.write("policies/rules/more.yaml", READERS.replace("catalogue", "most").replace("readers", "more"));
    answered(&house, "/shop/most/7", 200);
}

/// Writes a folder as the kubelet mounts a ConfigMap: `NAME -> ..data/NAME`, `..data -> ..TIME`, and swaps `..data`.
fn mount(folder: &Path, edition: &str, files: &[(&str, &str)]) {
    std::fs::create_dir_all(folder).unwrap();
    let data = folder.join(edition);
    std::fs::create_dir(&data).unwrap();
    for (name, text) in files {
        std::fs::write(data.join(name), text).unwrap();
    }
    let old = std::fs::read_link(folder.join("..data")).ok();
    symlink(edition, folder.join("..data_tmp")).unwrap();
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    for (name, _) in files {
        let link = folder.join(name);
        if std::fs::symlink_metadata(&link).is_err() {
            symlink(format!("..data/{name}"), &link).unwrap();
        }
    }
    if let Some(old) = old {
        std::fs::remove_dir_all(folder.join(old)).unwrap();
    }
}

#[test]
fn a_configmap_that_is_swapped_is_taken_whole() {
    let api = Recorder::start();
    let mut house = House::together(Files::new(), &api.address, KEY);
    let flat = POLICY.replace("rules/readers.yaml", "readers.yaml");
    let mounted = house.files.at("mounted");
    let first = [("shop.yaml", flat.as_str()), ("readers.yaml", READERS), ("offices.txt", ELSEWHERE)];
    mount(&mounted, "..2026_11_22_10_00_00.1", &first);
    let text = house.yaml().replacen(
        "\nroutes:",
        &format!(
            "\nlists: {{ offices: {{ networks: mounted/offices.txt }} }}\nroutes:{}",
            ROUTE.replace("policies/", "mounted/")
        ),
        1,
    );
    // The configuration comes from a ConfigMap, too: its name is a link in the folder that it is read from.
    let own = house.files.at("..data");
    std::fs::create_dir(house.files.at("..one")).unwrap();
    std::fs::write(house.files.at("..one/gateway.yaml"), &text).unwrap();
    symlink("..one", &own).unwrap();
    std::fs::remove_file(house.config()).unwrap();
    symlink("..data/gateway.yaml", house.config()).unwrap();
    answered(&house, "/shop/catalogue/7", 200);
    answered(&house, "/shop/orders", 401);

    // All three files change at once, and each shows that it is of this edition.
    let before = house.status()["generation"].as_u64().unwrap();
    let (policy, readers) =
        (flat.replace("default: block", "default: block\n# second"), READERS.replace("catalogue", "pictures"));
    mount(
        &mounted,
        "..2026_11_22_10_05_00.2",
        &[("shop.yaml", &policy), ("readers.yaml", &readers), ("offices.txt", "127.0.0.0/8\n")],
    );
    answered(&house, "/shop/orders", 200);
    assert_eq!(house.get("/shop/pictures/7", &[]).status, 200);
    let status = house.status();
    assert_eq!((&status["generation"], &status["last_reload"]["ok"]), (&(before + 1).into(), &true.into()), "{status}");

    // A bad edition: said, and the one before goes on although its files are gone.
    mount(
        &mounted,
        "..2026_11_22_10_10_00.3",
        &[("shop.yaml", &policy), ("readers.yaml", "rules: [{}]\n"), ("offices.txt", ELSEWHERE)],
    );
    until("the refusal", || (house.status()["last_reload"]["ok"] == false).then_some(()));
    assert_eq!(house.get("/shop/orders", &[]).status, 200);
    assert!(house.shown().contains("readers.yaml:1:"), "{}", house.shown());
    mount(&mounted, "..2026_11_22_10_15_00.4", &first);
    answered(&house, "/shop/orders", 401);

    // And the configuration itself.
    std::fs::create_dir(house.files.at("..two")).unwrap();
    std::fs::write(house.files.at("..two/gateway.yaml"), text.replace("path: \"/shop/**\"", "path: \"/store/**\""))
        .unwrap();
    symlink("..two", house.files.at("..data_tmp")).unwrap();
    std::fs::rename(house.files.at("..data_tmp"), &own).unwrap();
    answered(&house, "/shop/orders", 404);
    assert_eq!(house.get("/store/orders", &[]).status, 401);
    // A pod that starts with the links as they are finds everything.
    house.stop_gateway();
    house.restart_gateway();
    assert_eq!(house.get("/store/orders", &[]).status, 401);
    assert!(house.status()["last_good"].is_null(), "{}", house.status());
}

#[test]
fn a_bad_file_changes_no_answer_and_status_says_what_is_wrong_with_which() {
    let api = Recorder::start();
    let mut house = house(&api);
    let token = house.token();
    let asks = |house: &House, when: &str| {
        assert_eq!(house.get("/shop/catalogue/7", &[]).status, 200, "{when}");
        assert_eq!(house.get("/shop/orders", &[]).status, 401, "{when}");
        assert_eq!(house.get_as(&token, "/shop/orders").status, 200, "{when}");
    };
    let bads = [
        ("policies/shop.yaml", POLICY, POLICY.replace("default: block", "default: blok"), "policies/shop.yaml:2:10"),
        ("policies/shop.yaml", POLICY, POLICY.replace("rules/readers.yaml", "rules/gone.yaml"), "gone.yaml"),
        ("policies/rules/readers.yaml", READERS, READERS.replace("then: ", "than: "), "policies/rules/readers.yaml:2:"),
        ("lists/offices.txt", ELSEWHERE, format!("{ELSEWHERE}127.0.0.0/33\n"), "lists/offices.txt:3:1"),
        // A list that was cut short looks like an empty one.
        ("lists/offices.txt", ELSEWHERE, String::new(), "lists/offices.txt"),
    ];
    for (name, good, bad, told) in &bads {
        let generation = house.status()["generation"].clone();
        house.files.write(name, bad);
        let why = until(told, || {
            let status = house.status();
            status["last_reload"]["error"].as_str().filter(|why| why.contains(told)).map(str::to_owned)
        });
        assert_eq!(house.status()["generation"], generation, "{why}");
        let shown = house.shown();
        assert!(shown.contains("the last reload was refused") && shown.contains(told), "{shown}");
        asks(&house, told);
        house.files.write(name, good);
        until("the mended file", || (house.status()["last_reload"]["ok"] == true).then_some(()));
    }

    // The gateway ends while a file is bad, and is started with it.
    let (name, good, bad, told) = &bads[2];
    house.files.write(name, bad);
    house.stop_gateway();
    house.restart_gateway();
    until("the key set", || house.status()["key_set"]["number"].is_u64().then_some(()));
    asks(&house, "from the last good generation");
    let shown = house.shown();
    assert!(shown.contains("STARTED WITH THE LAST GOOD CONFIGURATION") && shown.contains(told), "{shown}");
    assert!(house.gateway.err().text().contains(told), "{}", house.gateway.err().text());
    // Mended with something new in it: taken by itself.
    house.files.write(name, good.replace("catalogue", "pictures"));
    answered(&house, "/shop/pictures/7", 200);
    assert!(house.status()["last_good"].is_null() && !house.shown().contains("LAST GOOD"), "{}", house.shown());
}

#[test]
fn a_candidate_in_the_shadow_counts_whom_it_would_treat_otherwise_and_changes_nothing() {
    let api = Recorder::start();
    let house = house(&api);
    let next = POLICY
        .replace("policy: shop", "policy: next")
        .replace("verdict: attested }", "verdict: attested, app_version: { min: \"2.0\" } }");
    house.files.write("policies/next.yaml", &next);
    house.change(|text| {
        text.replacen("policy: policies/shop.yaml", "policy: policies/shop.yaml\n    candidate: policies/next.yaml", 1)
    });
    for _ in 0..3 {
        let token = Attester::genuine().token(&house.service);
        for _ in 0..2 {
            assert_eq!(house.get_as(&token, "/shop/orders").status, 200);
        }
    }
    assert_eq!(house.get("/shop/catalogue/7", &[]).status, 200);
    let candidate = || house.route("shop")["candidate"].clone();
    let told = until("seven questions", || Some(candidate()).filter(|told| told["asked"] == 7));
    let differences = told["differences"].as_array().unwrap();
    assert_eq!(differences.len(), 1, "{told}");
    let one = &differences[0];
    assert_eq!(
        (&one["rule"], &one["action"], &one["candidate_rule"], &one["candidate_action"]),
        (&"genuine".into(), &"allow".into(), &"default".into(), &"block".into())
    );
    assert_eq!((&one["requests"], &one["devices"]), (&6.into(), &3.into()), "{told}");
    assert!(
        house.shown().contains("genuine allow becomes default block: 6 requests, of about 3 devices"),
        "{}",
        house.shown()
    );
    let metrics = e2e::wire::get(&house.admin, "/metrics", &[]).text();
    assert!(metrics.contains("assay_candidate_differences_total{"), "{metrics}");
    // Another candidate is another question.
    house.files.write("policies/next.yaml", next.replace("2.0", "1.0"));
    until("counts to begin anew", || (candidate()["asked"] == 0).then_some(()));
    assert_eq!(house.get("/shop/catalogue/7", &[]).status, 200);
    let told = until("one question", || Some(candidate()).filter(|told| told["asked"] == 1));
    assert_eq!(told["differences"], serde_json::json!([]));
    // A bad candidate is a bad file: nothing of it is taken.
    house.files.write("policies/next.yaml", "policy: next\ndefault: perhaps\n");
    assert_eq!(house.reload().status, 409);
    assert_eq!(house.get("/shop/catalogue/7", &[]).status, 200);
}
