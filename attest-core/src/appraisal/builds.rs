//! The measurement that came, against the registered builds of the app.

use crate::envelope::AttestRequest;
use crate::evidence_kind::EvidenceKind;
use crate::measurement::{self, Measurement};
use crate::reasons::Reasons;
use crate::reference::Build;
use crate::transcript::TranscriptHash;

/// Builds that one appraisal compares with, at most: those of the claimed version first, live before retired.
const MAX_COMPARED: usize = 32;

/// What the comparison found.
pub(super) struct Measured {
    /// A build of this version, platform and label is registered and not retired, and it is known by what the request
    /// brought.
    pub(super) known: bool,
    /// The measurement is that build's.
    pub(super) good: bool,
    /// The number of the build that it is; else of the one that it says it is, live before retired; else 0.
    pub(super) build: u32,
    pub(super) reasons: Reasons,
}

/// Compares with every build that is claimed, and with others up to a bound, whatever was found before.
pub(super) fn compare(request: &AttestRequest, transcript: &TranscriptHash, builds: &[Build]) -> Measured {
    let offered = request.evidence(EvidenceKind::Measurement);
    let mac: Option<[u8; 32]> = offered.and_then(|data| data.try_into().ok());
    let compare = |measurement: &Measurement| {
        let fits = measurement::verify_mac(measurement, &request.challenge, transcript, &mac.unwrap_or_default());
        fits && mac.is_some()
    };
    let of_app = |build: &&Build| build.app == request.app && build.platform == request.platform;
    let claimed =
        |build: &&Build| build.version == request.version && (request.build.is_empty() || build.label == request.build);

    let (mut found, mut retired, mut unmeasured, mut good) = (false, false, false, false);
    let (mut compared, mut live, mut gone, mut measured) = (0, 0, 0, 0);
    // The live ones first: however often a version was registered and retired, the one of now is compared.
    let of_version =
        |retired: bool| builds.iter().filter(of_app).filter(claimed).filter(move |build| build.retired == retired);
    for build in of_version(false).chain(of_version(true)).take(MAX_COMPARED) {
        found |= !build.retired;
        retired |= build.retired;
        unmeasured |= !build.retired && build.measurement.is_none();
        let named = if build.retired { &mut gone } else { &mut live };
        *named = if *named == 0 { build.number } else { *named };
        if let Some(measurement) = &build.measurement {
            let fits = compare(measurement) && !build.retired;
            measured = if fits { build.number } else { measured };
            good |= fits;
            compared += 1;
        }
    }
    let mut another = false;
    let others =
        builds.iter().filter(of_app).filter(|build| !claimed(build)).filter_map(|build| build.measurement.as_ref());
    for measurement in others.take(MAX_COMPARED - compared) {
        another |= compare(measurement);
        compared += 1;
    }
    if compared == 0 {
        // An unknown app costs what a known one does.
        let _ = compare(&Measurement::from_bytes([0; 32]));
    }

    let known_app = builds.iter().any(|build| build.app == request.app);
    let reasons = Reasons::NONE
        .and_if(!known_app, Reasons::UNKNOWN_APP)
        .and_if(known_app && !found && !retired, Reasons::UNKNOWN_BUILD)
        .and_if(known_app && !found && retired, Reasons::RETIRED_BUILD)
        .and_if(offered.is_some() && mac.is_none(), Reasons::EVIDENCE_MALFORMED)
        .and_if(offered.is_none() && found && !unmeasured, Reasons::MEASUREMENT_MISSING)
        .and_if(mac.is_some() && !good && another, Reasons::VERSION_MISMATCH)
        .and_if(mac.is_some() && !good && !another, Reasons::MEASUREMENT_MISMATCH);
    let build = [measured, live, gone].into_iter().find(|number| *number != 0).unwrap_or_default();
    // A build that has a measurement is known by it alone; one without is known by other Evidence, which `require`
    // names.
    Measured { known: good || (unmeasured && mac.is_none()), good, build, reasons }
}
