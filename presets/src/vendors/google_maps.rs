//! Google Maps Platform, the web services on `maps.googleapis.com`. Source: the request parameters of each service in Google's
//! reference. Left out everywhere: `client`, `signature` and `channel`, which name a customer.

use recipes::RecipeText;

use crate::preset::Preset;
use crate::table::{Call, GET};

pub(super) static GOOGLE_MAPS: Preset = Preset {
    name: "google-maps",
    vendor: "Google Maps Platform",
    parameters: &[],
    origin: |_| "https://maps.googleapis.com".to_owned(),
    recipe: |_| RecipeText::Query { name: "key".to_owned(), template: "{key}".to_owned() },
    secret: "an API key restricted to these services and to the gateway's addresses (console.cloud.google.com, Credentials)",
    calls: &[
        Call {
            name: "geocode",
            what: "addresses to coordinates and back",
            call: "GET /maps/api/geocode/json",
            query: &[
                "address",
                "components",
                "latlng",
                "place_id",
                "bounds",
                "language",
                "region",
                "result_type",
                "location_type",
            ],
            ..GET
        },
        Call {
            name: "directions",
            what: "routes from one place to another",
            call: "GET /maps/api/directions/json",
            query: &[
                "origin",
                "destination",
                "mode",
                "waypoints",
                "alternatives",
                "avoid",
                "language",
                "units",
                "region",
                "arrival_time",
                "departure_time",
                "traffic_model",
                "transit_mode",
                "transit_routing_preference",
            ],
            ..GET
        },
        Call {
            name: "distance_matrix",
            what: "distances from many places to many: billed for each pair",
            call: "GET /maps/api/distancematrix/json",
            query: &[
                "origins",
                "destinations",
                "mode",
                "avoid",
                "language",
                "units",
                "region",
                "arrival_time",
                "departure_time",
                "traffic_model",
                "transit_mode",
                "transit_routing_preference",
            ],
            ..GET
        },
        Call {
            name: "place_autocomplete",
            what: "places while somebody types",
            call: "GET /maps/api/place/autocomplete/json",
            query: &[
                "input",
                "sessiontoken",
                "components",
                "language",
                "location",
                "locationbias",
                "locationrestriction",
                "offset",
                "origin",
                "radius",
                "region",
                "strictbounds",
                "types",
            ],
            ..GET
        },
        Call {
            name: "place_details",
            what: "what is known of one place: billed by the fields that are asked for",
            call: "GET /maps/api/place/details/json",
            query: &[
                "place_id",
                "fields",
                "language",
                "region",
                "reviews_no_translations",
                "reviews_sort",
                "sessiontoken",
            ],
            ..GET
        },
        Call {
            name: "place_search",
            what: "places by a text",
            call: "GET /maps/api/place/textsearch/json",
            query: &[
                "query",
                "location",
                "radius",
                "language",
                "region",
                "type",
                "opennow",
                "minprice",
                "maxprice",
                "pagetoken",
            ],
            ..GET
        },
        Call {
            name: "static_map",
            what: "a map as a picture",
            call: "GET /maps/api/staticmap",
            query: &[
                "center", "zoom", "size", "scale", "format", "maptype", "language", "region", "map_id", "markers",
                "path", "visible", "style",
            ],
            ..GET
        },
        Call {
            name: "street_view",
            what: "a picture of a street",
            call: "GET /maps/api/streetview",
            query: &["size", "location", "pano", "heading", "fov", "pitch", "radius", "source", "return_error_code"],
            ..GET
        },
        Call {
            name: "time_zone",
            what: "the time zone of a place",
            call: "GET /maps/api/timezone/json",
            query: &["location", "timestamp", "language"],
            ..GET
        },
        Call {
            name: "elevation",
            what: "heights above the sea",
            call: "GET /maps/api/elevation/json",
            query: &["locations", "path", "samples"],
            ..GET
        },
    ],
    may_allow_all: true,
};
