//! The policy of a route: inline, or from its own file; with the files that it names in turn.

use std::{path::PathBuf, sync::Arc};

use policies::{
    Includes, RawPolicy, ResultPolicy, RouteContext,
    yaml::{Node, Value},
};

use super::Check;
use crate::{file::names, files::Files, shape::Fault};

/// What a policy names stands beside the file that the policy is in.
pub(crate) struct Beside<'f> {
    files: &'f Files,
    folder: PathBuf,
}

impl Includes for Beside<'_> {
    fn read(&self, path: &str) -> Result<(String, String), String> {
        let path = names::path(path).map_err(|fault| fault.message)?;
        let path = self.folder.join(path);
        let text = self.files.read_text(&path, policies::yaml::MAX_BYTES).map_err(|fault| fault.message)?;
        Ok((path.display().to_string(), text))
    }
}

impl Check<'_, '_> {
    /// Compiles the policy that `node` holds or names.
    pub(crate) fn policy(&self, node: &Node, about: &RouteContext<'_>) -> Option<Arc<ResultPolicy>> {
        let file = self.notes.file.clone();
        let compiled = match &node.value {
            Value::Map(_) => {
                let files = Beside { files: self.files, folder: self.files.resolve("".as_ref()) };
                let about = RouteContext { files: &files, ..*about };
                policies::compile(RawPolicy::from(node.clone()), &file, &about)
            }
            Value::Text(text) => {
                let path = match names::path(text) {
                    Ok(path) => self.files.resolve(&path),
                    Err(fault) => {
                        self.refuse(node.place, "bad_path", fault);
                        return None;
                    }
                };
                let text = match self.files.read_text(&path, policies::yaml::MAX_BYTES) {
                    Ok(text) => text,
                    Err(fault) => {
                        self.refuse(
                            node.place,
                            "unreadable_file",
                            fault.hint("the path is relative to this file; a policy can also stand right here"),
                        );
                        return None;
                    }
                };
                let name = path.display().to_string();
                let folder = path.parent().map_or_else(PathBuf::new, std::path::Path::to_path_buf);
                let files = Beside { files: self.files, folder };
                let about = RouteContext { files: &files, ..*about };
                policies::parse_file(&name, &text).and_then(|raw| policies::compile(raw, &name, &about))
            }
            _ => {
                let fault =
                    Fault::new(format!("expected a policy or the path of its file, found {}", node.described()));
                self.refuse(
                    node.place,
                    "wrong_type",
                    fault.hint("write policy: { default: block, rules: [ … ] }, or policy: policies/shop.yaml"),
                );
                return None;
            }
        };
        let (policy, problems) = match compiled {
            Ok((policy, warnings)) => (Some(Arc::new(policy)), warnings),
            Err(errors) => (None, errors),
        };
        for problem in problems {
            self.notes.push(problem);
        }
        policy
    }
}
