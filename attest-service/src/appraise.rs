//! C and D. In: a request whose challenge is consumed. Out: its answer, and its outcome for the operator. What is proven:
//! the same steps are taken, and an answer of the same shape comes out, whatever the Evidence is worth.

use std::net::IpAddr;

use attest_core::{
    appraisal::{self, AttestationResult, DeviceFacts},
    device_key::DeviceId,
    envelope::{AttestRequest, AttestResponse},
    reasons::Reasons,
    time::UnixTime,
    transcript::TranscriptHash,
};
use attest_store::{Bearer, Signed, Snapshot};
use http::StatusCode;

use crate::{
    answer_cache::Answer, challenges::Consumed, device_ages::AgedDevice, outcome::Outcome, refusal::Refusal,
    service::Service,
};

impl Service {
    /// Appraises `request` and signs what came out, at `now`.
    ///
    /// `_consumed` proves that this request, and no other, used its challenge.
    ///
    /// # Errors
    /// `Unavailable` where no token can be signed, whatever the Evidence is worth.
    pub(crate) fn appraise(
        &self,
        _consumed: &Consumed,
        request: &AttestRequest,
        transcript: &TranscriptHash,
        (device, address): (AgedDevice, IpAddr),
        now: UnixTime,
    ) -> Result<(Answer, Outcome), Refusal> {
        let snapshot = self.live.snapshot();
        let result = self.result(&snapshot, request, transcript, device, now);
        let bearer = Bearer { request, device: device.id, address };
        let signed = snapshot.issuer.sign(&result, &bearer, now, &*self.random).map_err(|_| Refusal::Unavailable)?;
        let answer = self.answer(request, &result, &signed)?;
        Ok((answer, outcome(request, &result, device.id, signed.arc, now)))
    }

    /// C: Evidence against the builds registered, under the policy configured.
    fn result(
        &self,
        snapshot: &Snapshot,
        request: &AttestRequest,
        transcript: &TranscriptHash,
        device: AgedDevice,
        now: UnixTime,
    ) -> AttestationResult {
        let policies = self.policies.load();
        let (policy, named) = policies.policy(&request.app, request.platform);
        let builds = if named { snapshot.builds(&request.app) } else { &[] };
        let facts = match self.previous(request) {
            None => snapshot.device(&device.id, now),
            // Whether it really was that device is for the appraisal to find out; a request that can't prove it fails.
            Some(previous) => snapshot.renewed_device(&device.id, &previous, now),
        };
        let facts = DeviceFacts { age_hours: device.hours, ..facts };
        appraisal::appraise(request, transcript, builds, policy, facts)
    }

    fn answer(&self, request: &AttestRequest, result: &AttestationResult, signed: &Signed) -> Result<Answer, Refusal> {
        let (status, body) = match &signed.token {
            Some(token) => {
                let response = AttestResponse { token: token.clone(), expires_in: self.token_lifetime_secs };
                (StatusCode::OK, serde_json::to_vec(&response).map_err(|_| Refusal::Unavailable)?)
            }
            None => Refusal::Refused.answer(),
        };
        Ok(Answer {
            status,
            body: body.into(),
            signature: request.signature,
            signature_good: !result.reasons.contains(Reasons::BAD_DEVICE_SIGNATURE),
        })
    }
}

fn outcome(
    request: &AttestRequest,
    result: &AttestationResult,
    device: DeviceId,
    arc: String,
    now: UnixTime,
) -> Outcome {
    Outcome {
        app: request.app.clone(),
        version: request.version.clone(),
        build: request.build.clone(),
        platform: request.platform,
        device,
        findings: request.findings.clone(),
        result: *result,
        arc,
        at: now,
    }
}
