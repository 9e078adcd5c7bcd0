//! What a key may be used for. In: options of a command line. Out: [`Bounds`]; proven by the keystore: none absent, none
//! open-ended.

use crate::args::KeyBounds;
use crate::output::Stop;
use keystore::bounds::RecipeText;
use keystore::{Bounds, BoundsText, Trust};
use presets::BadValue;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::collections::BTreeMap;
use std::path::Path;

/// Longest recipe; the largest that makes sense has a few hundred bytes.
const MOST_RECIPE: u64 = 64 * 1024;

/// The bounds that the options describe.
pub(super) fn of(args: &KeyBounds) -> Result<Bounds, Stop> {
    let preset = args.preset.as_deref().map(|name| preset(name, &args.values)).transpose()?;
    let mut to = args.to.clone();
    if let (true, Some(preset)) = (to.is_empty(), &preset) {
        to.push(preset.origin());
    }
    let (schemes, hosts) = origins(&to)?;
    let (mut methods, mut paths) = (args.methods.clone(), args.paths.clone());
    let recipe = match &preset {
        Some(preset) => {
            let (own_methods, own_paths) = preset.bounds();
            if methods.is_empty() {
                methods = own_methods;
            }
            if paths.is_empty() {
                paths = own_paths;
            }
            preset.recipe()
        }
        None => recipe(args)?,
    };
    if methods.is_empty() {
        methods = vec!["GET".to_owned(), "POST".to_owned()];
    }
    let trust = match &args.roots {
        None => Trust::PublicRoots,
        Some(path) => private_roots(path)?,
    };
    let text = BoundsText { schemes, hosts, methods, paths, recipe, trust: trust.to_string() };
    Bounds::parse(&text).map_err(|e| Stop::usage(e.to_string()))
}

/// A preset with the values of `--set NAME=VALUE`.
pub(crate) fn preset(name: &str, values: &[String]) -> Result<presets::Configured, Stop> {
    let preset = presets::named(name).ok_or_else(|| {
        let names: Vec<_> = presets::all().map(presets::Preset::name).collect();
        Stop::usage(format!("--preset {name}: there is no such preset")).hint(names.join(", "))
    })?;
    let mut given = BTreeMap::new();
    for value in values {
        let (name, value) =
            value.split_once('=').ok_or_else(|| Stop::usage(format!("--set {value}: write NAME=VALUE")))?;
        if given.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Stop::usage(format!("--set {name} is there twice")));
        }
    }
    preset.with(&given).map_err(|e| {
        let stop = Stop::usage(format!("--preset {name}: {e}"));
        match &e {
            BadValue::Missing { name, example, .. } => stop.hint(format!("add --set {name}=…, such as {example}")),
            BadValue::Unknown { known, .. } if known.is_empty() => stop.hint("it asks for nothing: leave --set out"),
            BadValue::Unknown { known, .. } => stop.hint(format!("it asks for {}", known.join(", "))),
            _ => stop,
        }
    })
}

fn origins(to: &[String]) -> Result<(Vec<String>, Vec<String>), Stop> {
    let (mut schemes, mut hosts) = (Vec::new(), Vec::new());
    for to in to {
        let (scheme, rest) = to
            .split_once("://")
            .ok_or_else(|| Stop::usage(format!("--to {to}: no scheme")).hint(format!("write https://{to}")))?;
        let host = rest.strip_suffix('/').unwrap_or(rest);
        if host.contains('/') {
            return Err(Stop::usage(format!("--to {to}: only scheme, host and port")).hint("paths go into --path"));
        }
        schemes.push(scheme.to_owned());
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        hosts.push(match (scheme, has_port) {
            ("http", false) => format!("{host}:80"),
            ("https", false) => format!("{host}:443"),
            _ => host.to_owned(),
        });
    }
    Ok((schemes, hosts))
}

/// The recipe of one option, or of a file.
fn recipe(args: &KeyBounds) -> Result<RecipeText, Stop> {
    if let Some(path) = &args.recipe_file {
        return recipe_file(path);
    }
    let template = || args.template.clone().unwrap_or_else(|| "{key}".to_owned());
    if let Some(basic) = &args.basic {
        let (user, password) = basic.split_once(':').ok_or_else(|| {
            Stop::usage("--basic: no colon between user and password")
                .hint("write --basic '{key}:' or --basic 'AC123:{key}'")
        })?;
        return Ok(RecipeText::Basic { user: user.to_owned(), password: password.to_owned() });
    }
    if args.client_certificate {
        return Ok(RecipeText::ClientCertificate {});
    }
    if let Some(name) = &args.query {
        return Ok(RecipeText::Query { name: name.clone(), template: template() });
    }
    if let Some(name) = &args.cookie {
        return Ok(RecipeText::Cookie { name: name.clone(), template: template() });
    }
    if let Some(at) = args.segment {
        return Ok(RecipeText::PathSegment { at, template: template() });
    }
    if let Some(pointer) = &args.json_field {
        return Ok(RecipeText::JsonField { pointer: pointer.clone(), template: template() });
    }
    if let Some(name) = &args.form_field {
        return Ok(RecipeText::FormField { name: name.clone(), template: template() });
    }
    let name = args.header.clone().unwrap_or_else(|| "authorization".to_owned());
    let bearer = name.eq_ignore_ascii_case("authorization");
    let usual = if bearer { "Bearer {key}" } else { "{key}" };
    Ok(RecipeText::Header { name, template: args.template.clone().unwrap_or_else(|| usual.to_owned()) })
}

fn recipe_file(path: &Path) -> Result<RecipeText, Stop> {
    let unusable = |why: &dyn std::fmt::Display| Stop::usage(format!("--recipe-file {}: {why}", path.display()));
    let about = std::fs::metadata(path).map_err(|e| unusable(&e))?;
    if about.len() > MOST_RECIPE {
        return Err(unusable(&"too long for a recipe"));
    }
    let text = std::fs::read(path).map_err(|e| unusable(&e))?;
    serde_json::from_slice(&text)
        .map_err(|e| unusable(&e).hint("a recipe is one JSON object with a \"kind\", as docs/keys.md shows for each"))
}

/// The hash of a file of root certificates. One that holds none would be a bound that nothing can meet.
fn private_roots(path: &Path) -> Result<Trust, Stop> {
    let file = std::fs::read(path).map_err(|e| Stop::usage(format!("{}: {e}", path.display())))?;
    let mut roots = CertificateDer::pem_slice_iter(&file).peekable();
    let readable = roots.peek().is_some() && roots.all(|root| root.is_ok());
    let wrong = || Stop::usage(format!("--roots {}: not a file of PEM certificates", path.display()));
    readable.then(|| Trust::in_private_roots(&file)).ok_or_else(wrong)
}
