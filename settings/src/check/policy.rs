//! The policy of a route: inline, or from its own file.

use std::{path::Path, sync::Arc};

use policies::{
    RawPolicy, ResultPolicy, RouteContext,
    yaml::{Node, Value},
};

use super::Check;
use crate::{file::names, shape::Fault};

impl Check<'_, '_> {
    /// Compiles the policy that `node` holds or names.
    pub(crate) fn policy(&self, node: &Node, about: &RouteContext<'_>) -> Option<Arc<ResultPolicy>> {
        let file = self.notes.file.clone();
        let compiled = match &node.value {
            Value::Map(_) => policies::compile(RawPolicy::from(node.clone()), &file, about),
            Value::Text(text) => {
                let path = match names::path(text) {
                    Ok(path) => self.files.resolve(&path),
                    Err(fault) => {
                        self.refuse(node.place, "bad_path", fault);
                        return None;
                    }
                };
                let text = match self.read_policy(&path) {
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
                policies::parse_file(&name, &text).and_then(|raw| policies::compile(raw, &name, about))
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

    fn read_policy(&self, path: &Path) -> Result<String, Fault> {
        let content = self.files.read(path, policies::yaml::MAX_BYTES)?;
        String::from_utf8(content.bytes.to_vec())
            .map_err(|_| Fault::new(format!("`{}` is not UTF-8 text", path.display())))
    }
}
