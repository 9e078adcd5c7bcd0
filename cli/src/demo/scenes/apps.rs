//! Scenes 1 to 3 and 11: the genuine app, a patched one, a debugged one, and a script that forges a measurement.

use super::{Stage, text, told};
use crate::demo::table::Row;
use crate::demo::{Trouble, tamper};
use attest_core::challenge::CHALLENGE_BYTES;
use attest_core::device_key::DevicePrivateKey;
use attest_core::envelope::{AttestRequest, AttestResponse, ChallengeResponse, Evidence};
use attest_core::evidence_kind::EvidenceKind;
use attest_core::measurement;
use attest_core::reference::Platform;

/// The paid call of the story.
const PAID: &str = "/paid/v1/paid";

impl Stage<'_> {
    /// 1: the genuine app gets through, the API saw its key, the app never did.
    pub(super) async fn genuine(&self) -> Result<Vec<Row>, Trouble> {
        let (ran, log) = self.app(PAID, |house| house.run_app(house.app(), &[PAID], None)).await?;
        let (status, body) = ran.calls.first().cloned().unwrap_or_default();
        let paid = body.get("paid").and_then(serde_json::Value::as_bool) == Some(true);
        let unseen = !ran.said.contains(&self.house.key);
        let right = status == 200 && paid && unseen && text(&log, "verdict") == "attested";
        let came_back = format!(
            "{status}, the API was {}paid; the key was {} the app",
            if paid { "" } else { "NOT " },
            if unseen { "never in" } else { "SEEN BY" }
        );
        Ok(vec![Row::new(
            1,
            "the genuine app measures itself, attests, calls the paid API",
            came_back,
            told(&log),
            right,
        )])
    }

    /// 2: one byte of program text changed on disk.
    pub(super) async fn patched(&self) -> Result<Vec<Row>, Trouble> {
        let patched = self.house.file("patched-app");
        let offset = tamper::patch_file(self.house.app(), &patched)?;
        let (ran, log) = self.app(PAID, |house| house.run_app(&patched, &[PAID], None)).await?;
        let tried = format!("the same app with one byte of program text changed on disk (at {offset:#x})");
        self.failed_app(2, tried, &ran, &log)
    }

    /// 3: a breakpoint in the running image of the genuine file.
    pub(super) async fn traced(&self) -> Result<Vec<Row>, Trouble> {
        let (ran, log) = self.app(PAID, |house| house.run_app_with_breakpoint(&[PAID])).await?;
        self.failed_app(
            3,
            "the genuine file, with a breakpoint set in its running image by a tracer".into(),
            &ran,
            &log,
        )
    }

    /// A token of the same shape, the verdict `failed`, the one refusal.
    fn failed_app(
        &self,
        scene: u8,
        tried: String,
        ran: &crate::demo::house::AppRun,
        log: &serde_json::Value,
    ) -> Result<Vec<Row>, Trouble> {
        let token = ran.token.as_deref().ok_or_else(|| Trouble::new("the app got no token"))?;
        let genuine = self.token()?;
        let same_shape = shape(token) == shape(&genuine);
        let status = ran.calls.first().map_or(0, |(status, _)| *status);
        let found = tokio::task::block_in_place(|| self.house.open_arc(token))?;
        let right =
            same_shape && status == 403 && text(log, "verdict") == "failed" && found.contains("measurement mismatch");
        let came_back =
            format!("a token of {} shape; the API call: {status}", if same_shape { "the same" } else { "ANOTHER" });
        Ok(vec![Row::new(scene, tried, came_back, format!("{}; the support code says: {found}", told(log)), right)])
    }

    /// 11: a script that holds only the app's file.
    pub(super) async fn forged(&self) -> Result<Vec<Row>, Trouble> {
        let token = self.forge().await?;
        let alone = self.get(PAID, &[("assay-token", &token)]).await?;
        let strong = self.get("/strong/v1/paid", &[("assay-token", &token)]).await?;
        Ok(vec![
            Row::new(
                11,
                "a script that holds only the app's file forges a measurement",
                format!("{}: it passes", alone.status),
                "measurement alone is enough on this route (danger_affirm_measurement_alone): tamper evidence, not proof",
                alone.status == 200 && alone.verdict() == "attested",
            ),
            Row::new(
                11,
                "the same on a route that asks for platform evidence",
                strong.answer(),
                told(&strong.log),
                strong.status == 403 && text(&strong.log, "rule") == "default",
            ),
        ])
    }

    /// What thirty lines of script can do: everything that goes into the MAC is in the file or on the wire.
    async fn forge(&self) -> Result<String, Trouble> {
        let wrong = |e: &dyn std::fmt::Display| Trouble::new(format!("the forger: {e}"));
        let base = &self.house.service_url;
        let challenge: ChallengeResponse =
            self.client.post(format!("{base}/challenge")).send().await?.error_for_status()?.json().await?;
        let nonce =
            attest_core::b64u::decode(challenge.challenge.as_bytes(), CHALLENGE_BYTES).map_err(|e| wrong(&e))?;
        let file = std::fs::read(self.house.app()).map_err(|e| wrong(&e))?;
        let digest = measurement::measure_file(&file).map_err(|e| wrong(&e))?;
        let device = DevicePrivateKey::generate().map_err(|e| wrong(&e))?;
        let mut request = AttestRequest {
            challenge: nonce.clone(),
            app: "shop".into(),
            version: "1.0".into(),
            platform: Platform::Linux,
            build: String::new(),
            device_key: device.public_key().map_err(|e| wrong(&e))?,
            device: vec![],
            findings: vec![],
            binding: None,
            evidence: vec![Evidence { kind: EvidenceKind::Measurement, data: vec![] }],
            signature: [0; 64],
            previous: None,
        };
        // The transcript names the kinds of Evidence, not their bytes: the MAC over it can go in afterwards.
        let transcript = request.transcript(&challenge.key_set);
        let mac = measurement::mac(&digest, &nonce, &transcript).to_vec();
        request.evidence = vec![Evidence { kind: EvidenceKind::Measurement, data: mac }];
        request.signature = device.sign(&transcript).map_err(|e| wrong(&e))?;
        let answer =
            self.client.post(format!("{base}/attest")).json(&request.to_json()).send().await?.error_for_status()?;
        Ok(answer.json::<AttestResponse>().await?.token)
    }
}

/// What a client can see of a token: its header, its claims' names, and every length.
fn shape(token: &str) -> (String, Vec<(String, usize)>, Vec<usize>) {
    let parts: Vec<&str> = token.split('.').collect();
    let claims = parts.get(1).and_then(|p| attest_core::b64u::decode(p.as_bytes(), 8192).ok());
    let claims: serde_json::Map<String, serde_json::Value> =
        claims.and_then(|c| serde_json::from_slice(&c).ok()).unwrap_or_default();
    let names = claims.iter().map(|(name, value)| (name.clone(), value.to_string().len())).collect();
    (parts.first().unwrap_or(&"").to_string(), names, parts.iter().map(|p| p.len()).collect())
}
