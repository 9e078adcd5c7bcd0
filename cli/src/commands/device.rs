//! `assay device`: what was seen of devices, and what is decided of them.
//!
//! In: a device's id, the `did` of its tokens. Out: its row; or a decision that the service follows within a second, and
//! gateways within seconds where tokens are out there.

use crate::args::{
    Device, DeviceClear, DeviceEnrol, DeviceForget, DeviceId, DeviceList, DeviceMark, DevicePass, DeviceStateArg,
};
use crate::commands::confirm;
use crate::output::{End, Output, Stop};
use crate::span::Span;
use crate::verifier::{Failure, Verifier, stop};
use crate::words::{columns, maybe, maybe_moment, moment, more};
use attest_admin::types::{self, DeviceQuery, DeviceState, Enrol, Mark, Reason};
use attest_admin::{ClientError, Code, Expected};
use attest_core::time::{Clock, SystemClock, UnixTime};
use serde_json::json;

/// Runs one of the `device` commands.
pub(crate) async fn run(command: &Device, output: Output) -> Result<End, Stop> {
    match command {
        Device::List(args) => list(args, output).await,
        Device::Show(args) => show(args, output).await,
        Device::Pass(DevicePass { device, span, reason }) => {
            mark(device, DeviceState::ForcedPass, Some(*span), reason, output).await
        }
        Device::Fail(DeviceMark { device, span, reason }) => {
            mark(device, DeviceState::ForcedFail, *span, reason, output).await
        }
        Device::Ban(DeviceMark { device, span, reason }) => {
            mark(device, DeviceState::Banned, *span, reason, output).await
        }
        Device::Clear(DeviceClear { device, reason }) => clear(device, reason, output).await,
        Device::Enrol(args) => enrol(args, output).await,
        Device::Forget(args) => forget(args, output).await,
    }
}

async fn list(args: &DeviceList, output: Output) -> Result<End, Stop> {
    let now = SystemClock.now();
    let query = DeviceQuery {
        state: args.state.map(|state| match state {
            DeviceStateArg::Normal => DeviceState::Normal,
            DeviceStateArg::Pass => DeviceState::ForcedPass,
            DeviceStateArg::Fail => DeviceState::ForcedFail,
            DeviceStateArg::Banned => DeviceState::Banned,
        }),
        app: args.app.clone(),
        enrolled: args.enrolled.then_some(true),
        seen_after: args.seen.map(|span| span.before(now)),
        limit: Some(args.page.limit),
        after: args.page.after.clone(),
    };
    let page = Verifier::open(&args.admin)?.devices(&query).await.map_err(stop)?;
    output.answer(&page, || {
        if page.items.is_empty() {
            return "no device; devices get a row when they first pass, or when something is decided of them.\n\
                    One that never passed: its id is `device` in the service's log, and `did` in its token"
                .to_owned();
        }
        let row = |device: &types::Device| {
            [
                device.id.clone(),
                state(device).to_owned(),
                maybe(device.app.as_deref()),
                maybe(device.version.as_deref()),
                moment(device.last_seen, now),
                format!("{}/{}", device.passed, device.failed),
                maybe(device.reason.as_deref()),
            ]
        };
        let rows: Vec<_> = page.items.iter().map(row).collect();
        let table = columns(["ID", "STATE", "APP", "VERSION", "LAST SEEN", "PASSED/FAILED", "REASON"], &rows);
        format!("{table}{}", more(page.next.as_deref()))
    });
    Ok(End::Yes)
}

async fn show(args: &DeviceId, output: Output) -> Result<End, Stop> {
    let (device, _) = Verifier::open(&args.admin)?.device(&args.id).await.map_err(stop)?;
    output.answer(&device, || told(&device, SystemClock.now()));
    Ok(End::Yes)
}

async fn mark(
    args: &DeviceId,
    decided: DeviceState,
    span: Option<Span>,
    reason: &str,
    output: Output,
) -> Result<End, Stop> {
    let now = SystemClock.now();
    let mark = Mark { state: decided, until: span.map(|span| span.after(now)), reason: reason.to_owned() };
    let verifier = Verifier::open(&args.admin)?;
    let change = async |expected| verifier.mark(&args.id, &mark, expected).await;
    let (device, _) = decide(&verifier, &args.id, change).await?;
    let until = device
        .until
        .map_or_else(|| "until `assay device clear`".to_owned(), |at| format!("it ends {}", moment(at, now)));
    output.answer(&device, || match decided {
        DeviceState::Normal => String::new(),
        DeviceState::ForcedPass => format!("{}: it passes from its next attestation on; {until}", device.id),
        DeviceState::ForcedFail => {
            format!(
                "{}: it fails from its next attestation on; tokens that it has stay good until they expire; {until}",
                device.id
            )
        }
        DeviceState::Banned => {
            format!("{}: it fails, and gateways refuse its tokens within seconds; {until}", device.id)
        }
    });
    Ok(End::Yes)
}

/// Makes a change that is about no earlier one. A device that attests for the first time between the two questions is there
/// then, and yet nobody has decided anything: the change is made all the same.
async fn decide<T>(
    verifier: &Verifier,
    id: &str,
    change: impl AsyncFn(Expected) -> Result<T, Failure>,
) -> Result<T, Stop> {
    let expected = verifier.expected(id).await.map_err(stop)?;
    let done = change(expected).await;
    let appeared = expected == Expected::Absent
        && matches!(&done, Err(ClientError::Refused(problem)) if problem.code == Code::PreconditionFailed);
    if !appeared {
        return done.map_err(stop);
    }
    let (device, version) = verifier.device(id).await.map_err(stop)?;
    if device.state != DeviceState::Normal || device.enrolled_until.is_some() {
        return done.map_err(stop);
    }
    change(Expected::Exactly(version)).await.map_err(stop)
}

/// Takes back whatever was decided: a mark, an enrolment, or both.
async fn clear(args: &DeviceId, reason: &str, output: Output) -> Result<End, Stop> {
    let verifier = Verifier::open(&args.admin)?;
    let (device, mut version) = verifier.device(&args.id).await.map_err(stop)?;
    if device.enrolled_until.is_some() {
        let why = Reason { reason: reason.to_owned() };
        (_, version) = verifier.end_enrolment(&args.id, &why, Expected::Exactly(version)).await.map_err(stop)?;
    }
    let mark = Mark { state: DeviceState::Normal, until: None, reason: reason.to_owned() };
    let (device, _) = verifier.mark(&args.id, &mark, Expected::Exactly(version)).await.map_err(stop)?;
    output.answer(&device, || format!("{}: its Evidence decides again", device.id));
    Ok(End::Yes)
}

async fn enrol(args: &DeviceEnrol, output: Output) -> Result<End, Stop> {
    let now = SystemClock.now();
    let enrol = Enrol { until: args.span.after(now), reason: args.reason.clone() };
    let (id, verifier) = (&args.device.id, Verifier::open(&args.device.admin)?);
    let change = async |expected| verifier.enrol(id, &enrol, expected).await;
    let (device, _) = decide(&verifier, id, change).await?;
    output.answer(&device, || {
        format!(
            "{id}: it passes as a debug device; that ends {}\nOnly routes with token: {{ allow_dev: true }} take its tokens.",
            moment(enrol.until, now)
        )
    });
    Ok(End::Yes)
}

async fn forget(args: &DeviceForget, output: Output) -> Result<End, Stop> {
    let (id, verifier) = (&args.device.id, Verifier::open(&args.device.admin)?);
    let question = || format!("Forget {id} and what was seen of it? Type its id to go on:");
    confirm::asked(args.yes, id, question)?;
    let expected = verifier.expected(id).await.map_err(stop)?;
    verifier.forget(id, expected).await.map_err(stop)?;
    output.answer(&json!({ "forgotten": id }), || format!("{id}: forgotten; it may come back as a new device"));
    Ok(End::Yes)
}

/// A decision in one word, as in `device list --state`.
fn state(device: &types::Device) -> &'static str {
    match device.state {
        DeviceState::Normal if device.enrolled_until.is_some() => "enrolled",
        DeviceState::Normal => "normal",
        DeviceState::ForcedPass => "pass",
        DeviceState::ForcedFail => "fail",
        DeviceState::Banned => "banned",
    }
}

/// A device, line by line.
fn told(device: &types::Device, now: UnixTime) -> String {
    let mut lines = vec![
        format!("device      {}", device.id),
        format!("state       {}", state(device)),
        format!(
            "app         {} {} {}",
            maybe(device.app.as_deref()),
            maybe(device.version.as_deref()),
            maybe(device.platform.as_deref())
        ),
        format!("seen        first {}, last {}", moment(device.first_seen, now), moment(device.last_seen, now)),
        format!("attested    {} passed, {} failed", device.passed, device.failed),
    ];
    let mut add = |name: &str, text: Option<String>| lines.extend(text.map(|text| format!("{name:<12}{text}")));
    let list = |words: &[String]| (!words.is_empty()).then(|| words.join(", "));
    add("against it", list(&device.last_reasons));
    add("found on it", list(&device.last_findings));
    add("until", device.until.map(|at| moment(at, now)));
    add("because", device.reason.clone());
    add("decided by", device.marked_by.clone());
    add("enrolled", device.enrolled_until.map(|at| format!("ends {}", maybe_moment(Some(at), now))));
    add("was before", device.renewed_from.clone());
    add("became", device.renewed_to.clone());
    lines.join("\n")
}
