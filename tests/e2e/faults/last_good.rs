//! A gateway that is killed, and whose file is bad when it comes back: what ran before serves, until the file is mended.

use e2e::command::assay;
use e2e::files::Files;
use e2e::house::House;
use e2e::upstream::Recorder;
use e2e::wait::until;

const KEY: &str = "sk_live_0123456789abcdef";

fn kept(house: &House) -> usize {
    let entries = std::fs::read_dir(house.files.at("gateway-state/generations")).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.ends_with(".bundle"))).count()
}

#[test]
fn killed_at_any_moment_it_comes_back_with_what_ran_whatever_the_file_says() {
    let api = Recorder::start();
    let mut house = House::together(Files::new(), &api.address, KEY);
    let good = house.yaml();
    until("the first copy", || (kept(&house) > 0).then_some(()));
    let bads = [
        // It does not read, it reads and can't run, and it ends in the middle.
        good.replacen("default: block", "default: permit", 1),
        good.replacen("key: vendor", "key: absent", 1),
        good[..good.len() * 2 / 3].to_owned(),
    ];
    for (round, bad) in bads.iter().enumerate() {
        // The kill comes while a copy is on its way to the disk, or when it has arrived.
        let copies = kept(&house);
        house.files.write("gateway.yaml", format!("{good}# round {round}\n"));
        assert_eq!(house.reload().status, 200, "round {round}");
        if round == 1 {
            until("its copy", || (kept(&house) > copies).then_some(()));
        }
        house.files.write("gateway.yaml", bad);
        house.restart_gateway();
        until("the key set", || house.status()["key_set"]["number"].is_u64().then_some(()));
        assert_eq!(house.get("/free/x", &[]).status, 200, "round {round}");
        let status = house.status();
        assert!(status["last_good"]["taken_at"].is_i64(), "round {round}: {status}");
        assert_eq!(status["last_reload"]["ok"], false, "round {round}");
        let shown = assay(&[&"status", &"--admin", &house.admin]).ends(0);
        assert!(shown.out.contains("STARTED WITH THE LAST GOOD CONFIGURATION"), "{}", shown.out);
        house.files.write("gateway.yaml", &good);
        until("the mended file", || house.status()["last_good"].is_null().then_some(()));
    }
    assert!((1..=5).contains(&kept(&house)), "{}", kept(&house));
    let metrics = e2e::wire::get(&house.admin, "/metrics", &[]).text();
    assert!(metrics.contains("assay_config_from_last_good 0"), "{metrics}");
}
