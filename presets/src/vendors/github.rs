//! GitHub, one repository. Source: the REST API reference ("Authenticating", "Issues", "Releases").

use super::bearer;
use crate::preset::{Kind, Parameter, Preset};
use crate::table::{Body, Call, GET, RULES, Rules};

const HEADERS: &[&str] = &["x-github-api-version"];

pub(super) static GITHUB: Preset = Preset {
    name: "github",
    vendor: "GitHub",
    parameters: &[
        Parameter { name: "owner", what: "whose repository", example: "octo-org", default: None, kind: Kind::Word },
        Parameter { name: "repo", what: "the repository", example: "octo-app", default: None, kind: Kind::Word },
    ],
    origin: |_| "https://api.github.com".to_owned(),
    recipe: |_| bearer(),
    secret: "a fine-grained token for this one repository, with Issues: read and write and nothing else",
    calls: &[
        Call {
            name: "create_issue",
            what: "a new issue: a bug report out of the app",
            call: "POST /repos/{owner}/{repo}/issues",
            headers: HEADERS,
            body: Body::Json(Rules { required: &["/title"], only: &["/title", "/body", "/labels"], ..RULES }),
            ..GET
        },
        Call {
            name: "create_comment",
            what: "a comment to an issue",
            call: "POST /repos/{owner}/{repo}/issues/*/comments",
            headers: HEADERS,
            body: Body::Json(Rules { required: &["/body"], only: &["/body"], ..RULES }),
            ..GET
        },
        Call {
            name: "list_issues",
            what: "issues",
            call: "GET /repos/{owner}/{repo}/issues",
            query: &["state", "labels", "sort", "direction", "since", "per_page", "page"],
            headers: HEADERS,
            ..GET
        },
        Call {
            name: "read_issue",
            // GitHub knows two words beside numbers in that place.
            what: "one issue, or comments or events of all issues",
            call: "GET /repos/{owner}/{repo}/issues/*",
            headers: HEADERS,
            ..GET
        },
        Call {
            name: "latest_release",
            what: "the latest release",
            call: "GET /repos/{owner}/{repo}/releases/latest",
            headers: HEADERS,
            ..GET
        },
    ],
    may_allow_all: true,
};
