//! `preset:` of an upstream checked: which API it is, and where.
//!
//! In: the name of a preset, values for its parameters, perhaps another URL. Out: the preset with its parameters filled in,
//! and the URL that is dialled. A key is bound to where it was sealed for, so another URL can't lead it astray.

use std::collections::BTreeMap;

use policies::yaml::{Place, listed, nearest};
use presets::{BadValue, Configured};

use super::super::Check;
use crate::{
    file::{
        names::Name,
        network::{Origin, UrlParts, url},
        operations::ParameterValue,
        upstreams::RawUpstream,
    },
    shape::Fault,
};

impl Check<'_, '_> {
    /// The preset, if there is one, and the URL: the one that is written, or else the preset's.
    pub(super) fn preset_and_url(
        &self,
        raw: &RawUpstream,
        owner: Place,
    ) -> Option<(Option<Configured>, UrlParts, Place)> {
        if raw.preset.is_absent() {
            if let Some(at) = raw.set.at {
                let fault = Fault::new("`set` is for the parameters of a preset, and there is none");
                self.refuse(at, "does_nothing", fault.hint("take the line out, or add preset: aws-s3"));
            }
            let (Origin(url), at) = self.need(&raw.url, owner, "url", "https://api.example.com")?;
            return Some((None, url.clone(), at));
        }
        let (preset, at) = self.preset(raw)?;
        match raw.url.good() {
            Some((Origin(url), at)) => Some((Some(preset), url.clone(), at)),
            None if raw.url.is_absent() => {
                let own = url(&preset.origin()).map_err(|fault| self.refuse(at, "bad_preset_value", fault)).ok()?;
                Some((Some(preset), own, at))
            }
            None => None,
        }
    }

    fn preset(&self, raw: &RawUpstream) -> Option<(Configured, Place)> {
        let (Name(name), at) = raw.preset.good()?;
        let names: Vec<&str> = presets::all().map(presets::Preset::name).collect();
        let Some(preset) = presets::named(name) else {
            let fault = Fault::new(format!("there is no preset `{name}`"));
            let hint = match nearest(name, &names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}; any other API is written out, see docs/smaller-api.md", listed(&names)),
            };
            self.refuse(at, "unknown_name", fault.hint(hint));
            return None;
        };
        let rows = || raw.set.value.iter().flat_map(|table| &table.0);
        let given: BTreeMap<String, String> = rows()
            .filter_map(|row| row.value.as_ref().map(|ParameterValue(value)| (row.name.clone(), value.clone())))
            .collect();
        // A value that is wrong itself was told already.
        if !raw.set.is_absent() && given.len() != rows().count() {
            return None;
        }
        match preset.with(&given) {
            Ok(configured) => Some((configured, at)),
            Err(bad) => {
                let place = |name: &str| rows().find(|row| row.name == name).map(|row| row.at);
                let (place, hint) = match &bad {
                    BadValue::Missing { name, example, .. } => {
                        (raw.set.at, format!("write set: {{ {name}: {example} }}"))
                    }
                    BadValue::Unknown { name, known, .. } if known.is_empty() => {
                        (place(name), "take it out: the preset needs to be told nothing".to_owned())
                    }
                    BadValue::Unknown { name, known, .. } => (place(name), format!("there are {}", listed(known))),
                    BadValue::Value { name, .. } => (place(name), "write it as the vendor shows it".to_owned()),
                    _ => (None, format!("see docs/presets/{}.md", preset.name())),
                };
                self.refuse(place.unwrap_or(at), "bad_preset_value", Fault::new(bad.to_string()).hint(hint));
                None
            }
        }
    }
}
