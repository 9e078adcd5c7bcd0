//! Google Maps web services. Source: "Geocoding API: request and response", "Use API keys with Google Maps Platform": `key` in
//! the query; what is wrong is told in `status`, with 200.

use serde_json::json;

use super::{Reply, Vendor};

/// The API, for one key.
#[must_use]
pub fn start(key: &str) -> Vendor {
    let key = key.to_owned();
    Vendor::serving(move |call| {
        let query = call.query();
        let keys: Vec<&String> = query.iter().filter(|(name, _)| name == "key").map(|(_, value)| value).collect();
        if keys != [&key] {
            let message = "The provided API key is invalid.";
            return Reply::json(200, &json!({ "error_message": message, "results": [], "status": "REQUEST_DENIED" }));
        }
        let asks = |name: &str| query.iter().any(|(own, _)| own == name);
        match (call.method.as_str(), call.path()) {
            ("GET", "/maps/api/geocode/json") if asks("address") || asks("latlng") => {
                let place = json!({ "formatted_address": "Calle Mayor 1, Madrid", "place_id": "ChIJ1" });
                Reply::json(200, &json!({ "results": [place], "status": "OK" }))
            }
            ("GET", "/maps/api/directions/json") if asks("origin") && asks("destination") => {
                Reply::json(200, &json!({ "routes": [{ "summary": "A-1" }], "status": "OK" }))
            }
            ("GET", "/maps/api/staticmap") if asks("size") => Reply::whole(200, "image/png", *b"\x89PNG\r\n\x1a\n"),
            ("GET", path) if path.starts_with("/maps/api/") => {
                Reply::json(200, &json!({ "results": [], "status": "INVALID_REQUEST" }))
            }
            _ => Reply::whole(404, "text/html", "<title>Error 404 (Not Found)!!1</title>"),
        }
    })
}
