//! Twilio. Source: "Requests to Twilio" and "Messages resource". Left out: calls (their TwiML is whatever URL the caller
//! names), pictures (`MediaUrl` makes Twilio fetch any URL), callbacks, and lists of what was sent to others.

use recipes::RecipeText;

use crate::preset::{Kind, Parameter, Preset};
use crate::table::{Body, Call, GET, RULES, Rules};

pub(super) static TWILIO: Preset = Preset {
    name: "twilio",
    vendor: "Twilio",
    parameters: &[Parameter {
        name: "account_sid",
        what: "the account, which stands in every path and is the user of basic authentication",
        example: "AC0123456789abcdef0123456789abcdef",
        default: None,
        kind: Kind::Word,
    }],
    origin: |_| "https://api.twilio.com".to_owned(),
    recipe: |values| RecipeText::Basic { user: values.of("account_sid").to_owned(), password: "{key}".to_owned() },
    secret: "the auth token of a subaccount of its own (console.twilio.com, Account Info)",
    calls: &[
        Call {
            name: "send_message",
            what: "a text message",
            call: "POST /2010-04-01/Accounts/{account_sid}/Messages.json",
            body: Body::Form(Rules {
                limit: 8 * 1024,
                required: &["/To", "/Body"],
                only: &["/To", "/Body", "/From", "/MessagingServiceSid"],
                ..RULES
            }),
            ..GET
        },
        Call {
            name: "fetch_message",
            what: "whether one message arrived: by its id, with its text",
            call: "GET /2010-04-01/Accounts/{account_sid}/Messages/*.json",
            ..GET
        },
    ],
    may_allow_all: false,
};
