//! `assay init --preset`: a route to a well-known API beside the other.
//!
//! In: names of presets and values for their parameters. Out: upstream and route of each as text, and the command that puts
//! its key. Until that has run the gateway does not start: `assay check` says which key is missing.

use crate::commands::key::bounds;
use crate::output::Stop;
use presets::Configured;
use std::path::Path;

/// The API, and what it was told.
pub(super) struct Paid {
    preset: Configured,
    values: Vec<(String, String)>,
}

impl Paid {
    /// One for each name, in their order; each takes those of the values that it knows.
    pub(super) fn all(names: &[String], values: &[String]) -> Result<Vec<Self>, Stop> {
        if let [name] = names {
            return Ok(vec![Self::new(name, values)?]);
        }
        if let Some(twice) = names.iter().enumerate().find(|(at, name)| names.iter().take(*at).any(|n| n == *name)) {
            return Err(Stop::usage(format!("--preset {} is there twice", twice.1)));
        }
        let asks = |name: &str, value: &str| {
            let given = value.split_once('=').map_or(value, |(given, _)| given);
            presets::named(name).is_some_and(|preset| preset.parameters().iter().any(|asked| asked.name == given))
        };
        if let Some(value) = values.iter().find(|value| !names.iter().any(|name| asks(name, value))) {
            return Err(Stop::usage(format!("--set {value}: none of these presets asks for it")));
        }
        let own = |name: &str| values.iter().filter(|value| asks(name, value)).cloned().collect::<Vec<_>>();
        names.iter().map(|name| Self::new(name, &own(name))).collect()
    }

    fn new(name: &str, values: &[String]) -> Result<Self, Stop> {
        let preset = bounds::preset(name, values)?;
        let pair = |value: &String| value.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Self { preset, values: values.iter().filter_map(pair).collect() })
    }

    fn name(&self) -> &'static str {
        self.preset.preset().name()
    }

    /// The configuration with it.
    pub(super) fn beside(&self, text: &str) -> String {
        let mut lines = Vec::new();
        for line in text.lines() {
            lines.push(line.to_owned());
            if line.starts_with("upstreams:") {
                lines.push(self.upstream());
            } else if line.starts_with("routes:") {
                lines.push(self.route());
            }
        }
        lines.join("\n") + "\n"
    }

    fn upstream(&self) -> String {
        let set: Vec<String> = self.values.iter().map(|(name, value)| format!("{name}: \"{value}\"")).collect();
        let set = if set.is_empty() { String::new() } else { format!(", set: {{ {} }}", set.join(", ")) };
        let name = self.name();
        format!("  {name}: {{ preset: {name}{set} }}      # {}, docs/presets/{name}.md", self.preset.preset().vendor())
    }

    /// One operation, or none where each moves money: then `assay check` asks for a choice.
    fn route(&self) -> String {
        let name = self.name();
        let names: Vec<&str> = self.preset.preset().operations().map(|(name, _)| name).collect();
        let chosen = if self.preset.preset().may_allow_all() { names.first().copied().unwrap_or_default() } else { "" };
        format!(
            "  {name}:                                    # a paid API: its key is added here and never in the app\n    \
             match: {{ path: \"/{name}/**\" }}\n    \
             rewrite: {{ strip: /{name} }}\n    \
             upstream: {name}\n    \
             key: {name}                              # opened for allowed, attested requests; never by monitor\n    \
             token: {{ from: {} }}   # the second: SDKs send the token as \"their API key\"\n    \
             operations: [{chosen}]                   # all that this key can do, of: {}\n    \
             ceilings:                            # no policy, mode or command lifts them\n      {}\n    \
             policy: {{ default: block, rules: [{{ name: genuine, when: {{ verdict: attested }}, then: allow }}] }}\n",
            self.token_places(),
            names.join(", "),
            self.ceilings(),
        )
    }

    /// Where the vendor's own SDK puts what it takes for its key.
    fn token_places(&self) -> &'static str {
        match self.name() {
            "anthropic" => "[Assay-Token, bearer, x-api-key]",
            "aws-s3" => "[Assay-Token, X-Amz-Security-Token]",
            _ => "[Assay-Token, bearer]",
        }
    }

    /// What a device may use in a day, and what all may use together: the most that a day can cost.
    fn ceilings(&self) -> &'static str {
        match self.name() {
            "openai" | "anthropic" | "google-service-account" => {
                "reserve: { tokens: 9000 }          # what a request is charged whose answer does not tell its usage\n      \
                 device: { requests: 200/1d, tokens: 50000/1d }\n      \
                 key: { tokens: 2000000/1d }        # of all devices together: the most that a day can cost"
            }
            _ => {
                "device: { requests: 200/1d }\n      \
                 key: { requests: 20000/1d }        # of all devices together: the most that a day can cost"
            }
        }
    }

    /// What has to be chosen before any command takes the file; none where one operation is chosen already.
    pub(super) fn choice(&self, config: &Path) -> Option<String> {
        let named = format!("name the operations of route `{}` in {}", self.name(), config.display());
        (!self.preset.preset().may_allow_all()).then_some(named)
    }

    /// The command that puts its key.
    pub(super) fn put(&self, config: &Path) -> String {
        let set: String = self.values.iter().map(|(name, value)| format!(" --set {name}={value}")).collect();
        let name = self.name();
        format!(
            "assay key put {name} --preset {name}{set} -c {} < key.txt      # {}",
            config.display(),
            self.preset.preset().secret()
        )
    }
}
