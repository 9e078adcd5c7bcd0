//! The head of the API's description; its routes come from the handlers themselves.

use utoipa::{
    Modify, OpenApi,
    openapi::{
        Info, OpenApi as Document,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

/// The one way to show who you are.
const SCHEME: &str = "admin_token";

#[derive(OpenApi)]
#[openapi(modifiers(&Bearer))]
struct Head;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token made with `assay admin token create`."))
            .build();
        document.components.get_or_insert_default().add_security_scheme(SCHEME, SecurityScheme::Http(bearer));
        document.security = Some(vec![SecurityRequirement::new(SCHEME, [] as [&str; 0])]);
    }
}

/// Title, version and security; no route yet.
pub(crate) fn document() -> Document {
    let mut document = Head::openapi();
    document.info = Info::builder()
        .title("Assay admin API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "What operators do to the attestation service: builds, devices, keys, revocations, orders \
             to gateways, tokens, audit. Lists come \
             in pages: ask again with `after` set to the `next` of the page before. An edit of a single thing needs \
             `If-Match` with the ETag that it was read with. Times are Unix seconds. Refusals are problem details \
             (RFC 9457) with a stable `code` and, where one member is at fault, its name in `field`.",
        ))
        .build();
    document
}
