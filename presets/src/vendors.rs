//! The data, one file a vendor.

mod anthropic;
mod aws_s3;
mod github;
mod google_maps;
mod google_service_account;
mod openai;
mod stripe;
mod twilio;

use crate::preset::Preset;

/// All presets, in the order of the pages.
pub(crate) const ALL: [&Preset; 8] = [
    &openai::OPENAI,
    &anthropic::ANTHROPIC,
    &google_maps::GOOGLE_MAPS,
    &google_service_account::GOOGLE_SERVICE_ACCOUNT,
    &stripe::STRIPE,
    &twilio::TWILIO,
    &aws_s3::AWS_S3,
    &github::GITHUB,
];

/// `Authorization: Bearer …`, RFC 6750.
fn bearer() -> recipes::RecipeText {
    recipes::RecipeText::Header { name: "authorization".to_owned(), template: "Bearer {key}".to_owned() }
}
