//! B to D. In: an attest request. Out: 200 and a token, whatever the appraisal found (403 without one, where the key set
//! conceals nothing). What is proven here: the envelope reads, and from the use of the challenge on the answer leaves at
//! a multiple of the quantum; what the outcome writes is written after that. Faults that say nothing about the app are
//! said aloud and at once.

use std::sync::Arc;

use attest_core::envelope::AttestRequest;
use axum::{
    extract::{Request, State},
    response::Response,
};
use http::StatusCode;
use tokio::time::{Instant, sleep_until};

use super::{Admitted, Api, json};
use crate::{
    answer_cache::Answer,
    refusal::{Refusal, problem},
    service::Attested,
};

pub(super) async fn attest(State(api): State<Arc<Api>>, request: Request) -> Response {
    match api.admit(request).await {
        Ok(admitted) => answer(&api, &admitted).await.unwrap_or_else(|refusal| api.refuse(refusal)),
        Err(response) => response,
    }
}

async fn answer(api: &Api, admitted: &Admitted<'_>) -> Result<Response, Refusal> {
    let arrival = Instant::now();
    let request =
        AttestRequest::parse(&admitted.body).map_err(|error| Refusal::NotAnEnvelope { detail: error.to_string() })?;
    let Attested { answer, held } = api.service.attest(Arc::new(request), admitted.address).await?;
    leave_at_the_quantum(api, arrival).await;
    // Now, and not before, the outcome goes to the log, the counters and the device's sightings.
    drop(held);
    Ok(respond(&answer))
}

async fn leave_at_the_quantum(api: &Api, arrival: Instant) {
    let departure = api.service.quantum.departure(arrival, Instant::now());
    if departure.overrun {
        api.service.metrics.quantum_overruns.inc();
    }
    sleep_until(departure.at).await;
}

fn respond(answer: &Answer) -> Response {
    if answer.status == StatusCode::OK {
        json(answer.status, answer.body.clone())
    } else {
        problem(answer.status, answer.body.clone())
    }
}
