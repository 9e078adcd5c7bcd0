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

use super::{Api, json, read_body};
use crate::{
    answer_cache::Answer,
    refusal::{Refusal, problem},
    service::Attested,
};

pub(super) async fn attest(State(api): State<Arc<Api>>, request: Request) -> Response {
    match answer(&api, request).await {
        Ok(response) => response,
        Err(refusal) => api.refuse(refusal),
    }
}

async fn answer(api: &Api, request: Request) -> Result<Response, Refusal> {
    let address = api.client_address(&request).ok_or(Refusal::Unavailable)?;
    api.service.check_rate(address).await?;
    let _seat = api.seat()?;
    let body = read_body(request.into_body()).await?;
    let arrival = Instant::now();
    let request = AttestRequest::parse(&body).map_err(|error| Refusal::NotAnEnvelope { detail: error.to_string() })?;
    let Attested { answer, held } = api.service.attest(Arc::new(request), address).await?;
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
