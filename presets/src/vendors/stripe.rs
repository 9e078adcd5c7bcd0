//! Stripe. Source: its API reference ("Authentication", "Idempotent requests", "PaymentIntents", "SetupIntents", "Products",
//! "Prices") and the parameters of its official Python library, 16.1.
//!
//! No operation takes a customer, a payment method or `confirm`: with a secret key whoever names another's card pays with
//! it. None refunds, pays out, or reads what belongs to somebody. `Stripe-Account` and `Stripe-Context`, which act for
//! another merchant, are not among the headers.

use super::bearer;
use crate::preset::Preset;
use crate::table::{Body, Call, GET, RULES, Rules};

/// The SDK's version of the API, and what makes a retry safe.
const HEADERS: &[&str] = &["stripe-version", "idempotency-key"];

pub(super) static STRIPE: Preset = Preset {
    name: "stripe",
    vendor: "Stripe",
    parameters: &[],
    origin: |_| "https://api.stripe.com".to_owned(),
    recipe: |_| bearer(),
    secret: "a restricted key (rk_…) that may write PaymentIntents and nothing else (dashboard.stripe.com, API keys)",
    calls: &[
        Call {
            name: "create_payment_intent",
            what: "a payment that the app then confirms with the publishable key",
            call: "POST /v1/payment_intents",
            headers: HEADERS,
            body: Body::Form(Rules {
                limit: 16 * 1024,
                required: &["/amount", "/currency"],
                only: &[
                    "/amount",
                    "/currency",
                    "/automatic_payment_methods",
                    "/description",
                    "/metadata",
                    "/payment_method_types",
                    "/receipt_email",
                    "/shipping",
                    "/statement_descriptor_suffix",
                ],
                ..RULES
            }),
            ..GET
        },
        Call {
            name: "create_setup_intent",
            what: "a card that is set up for later",
            call: "POST /v1/setup_intents",
            headers: HEADERS,
            body: Body::Form(Rules {
                limit: 16 * 1024,
                only: &["/automatic_payment_methods", "/description", "/metadata", "/payment_method_types", "/usage"],
                ..RULES
            }),
            ..GET
        },
        Call {
            name: "list_products",
            what: "what is sold",
            call: "GET /v1/products",
            query: &["active", "ids[]", "limit", "starting_after", "ending_before", "url"],
            headers: HEADERS,
            ..GET
        },
        Call {
            name: "list_prices",
            what: "for how much",
            call: "GET /v1/prices",
            query: &[
                "active",
                "currency",
                "product",
                "type",
                "lookup_keys[]",
                "limit",
                "starting_after",
                "ending_before",
            ],
            headers: HEADERS,
            ..GET
        },
    ],
    may_allow_all: false,
};
