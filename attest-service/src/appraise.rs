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
use http::StatusCode;

use crate::{
    answer_cache::Answer,
    challenge_store::Consumed,
    outcome::Outcome,
    refusal::Refusal,
    service::Service,
    signer::{Bearer, Signed},
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
        address: IpAddr,
        now: UnixTime,
    ) -> Result<(Answer, Outcome), Refusal> {
        let device = request.device_key.device_id(&self.device_salt);
        let result = self.result(request, transcript, device, now);
        let bearer = Bearer { request, device, address };
        let signed = self.signer.sign(&result, &bearer, now, &*self.random).map_err(|_| Refusal::Unavailable)?;
        let answer = self.answer(request, &result, &signed)?;
        Ok((answer, outcome(request, &result, device, signed.arc, now)))
    }

    /// C: Evidence against the builds registered, under the policy configured.
    fn result(
        &self,
        request: &AttestRequest,
        transcript: &TranscriptHash,
        device: DeviceId,
        now: UnixTime,
    ) -> AttestationResult {
        let snapshot = self.store.snapshot();
        let (policy, named) = self.policies.policy(&request.app, request.platform);
        let builds = if named { snapshot.builds(&request.app) } else { &[] };
        let state = snapshot.device_state(device.as_bytes(), now);
        appraisal::appraise(request, transcript, builds, policy, DeviceFacts { state, ..DeviceFacts::default() })
    }

    fn answer(&self, request: &AttestRequest, result: &AttestationResult, signed: &Signed) -> Result<Answer, Refusal> {
        let (status, body) = match &signed.token {
            Some(token) => {
                let response = AttestResponse { token: token.clone(), expires_in: self.signer.lifetime_secs() };
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
        result: *result,
        arc,
        at: now,
    }
}
