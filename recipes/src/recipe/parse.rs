//! Each kind of recipe, parsed. In: its members as they are written. Out: what the rest of this crate works with, the
//! canonical text, and the slots that a client may not fill.

use std::sync::Arc;

use http::header::{AUTHORIZATION, COOKIE};

use super::Kind;
use crate::body::{FormField, JsonField};
use crate::error::RecipeError;
use crate::fixed::{Basic, Cookie, Header};
use crate::hmac::{Forms, Hmac};
use crate::jwt_bearer::{Claims, JwtBearer, Signing};
use crate::minted::TokenHeader;
use crate::oauth2::{ClientCredentials, ProofText};
use crate::sigv4::Sigv4;
use crate::slots::Slots;
use crate::target::{PathSegment, Query};
use crate::text::RecipeText;

type Parsed = (Kind, RecipeText, Slots);

pub(super) fn parse(text: &RecipeText) -> Result<Parsed, RecipeError> {
    let same = text.clone();
    match text {
        RecipeText::Header { name, template } => {
            let header = Header::parse(name, template)?;
            let slots = Slots::new([header.name.clone()], &[]);
            let text = RecipeText::Header { name: header.name.as_str().to_owned(), template: template.clone() };
            Ok((Kind::Header(header), text, slots))
        }
        RecipeText::Query { name, template } => {
            Ok((Kind::Query(Query::parse(name, template)?), same, Slots::new([], &[name])))
        }
        RecipeText::PathSegment { at, template } => {
            Ok((Kind::PathSegment(PathSegment::parse(*at, template)?), same, Slots::default()))
        }
        RecipeText::Basic { user, password } => {
            Ok((Kind::Basic(Basic::parse(user, password)?), same, Slots::new([AUTHORIZATION], &[])))
        }
        RecipeText::Cookie { name, template } => {
            Ok((Kind::Cookie(Cookie::parse(name, template)?), same, Slots::new([COOKIE], &[])))
        }
        RecipeText::JsonField { pointer, template } => {
            Ok((Kind::JsonField(JsonField::parse(pointer, template)?), same, Slots::default()))
        }
        RecipeText::FormField { name, template } => {
            Ok((Kind::FormField(FormField::parse(name, template)?), same, Slots::new([], &[name])))
        }
        RecipeText::Oauth2ClientCredentials { .. } => client_credentials(text),
        RecipeText::JwtBearer { .. } => jwt_bearer(text),
        RecipeText::Hmac { .. } => hmac(text),
        RecipeText::AwsSigv4 { region, service, place, headers, large_body } => {
            let recipe = Sigv4::parse(region, service, *place, headers, *large_body)?;
            let text = RecipeText::AwsSigv4 {
                region: recipe.region.clone(),
                service: recipe.service.clone(),
                place: *place,
                headers: recipe.headers.iter().map(ToString::to_string).collect(),
                large_body: *large_body,
            };
            let slots = recipe.slots();
            Ok((Kind::Sigv4(recipe), text, slots))
        }
        RecipeText::ClientCertificate {} => Ok((Kind::ClientCertificate, same, Slots::default())),
    }
}

fn client_credentials(text: &RecipeText) -> Result<Parsed, RecipeError> {
    let mut text = text.clone();
    let RecipeText::Oauth2ClientCredentials {
        token_endpoint,
        client_id,
        authentication,
        algorithm,
        key_id,
        scope,
        audience,
        parameters,
        name,
        template,
    } = &mut text
    else {
        return Err(NOT_THIS_KIND);
    };
    let proof = ProofText { authentication: *authentication, algorithm: *algorithm, key_id: key_id.as_deref() };
    let asked = [scope.as_deref(), audience.as_deref()];
    let recipe = ClientCredentials::parse(token_endpoint, client_id, &proof, asked, parameters)?;
    let header = TokenHeader::parse(name, template)?;
    *token_endpoint = recipe.endpoint.to_string();
    header.name.as_str().clone_into(name);
    let slots = Slots::new([header.name.clone()], &[]);
    Ok((Kind::ClientCredentials(Arc::new(recipe), header), text, slots))
}

fn jwt_bearer(text: &RecipeText) -> Result<Parsed, RecipeError> {
    let mut text = text.clone();
    let RecipeText::JwtBearer {
        token_endpoint,
        issuer,
        subject,
        audience,
        scope,
        claims,
        algorithm,
        key_id,
        lifetime_secs,
        name,
        template,
    } = &mut text
    else {
        return Err(NOT_THIS_KIND);
    };
    let header = TokenHeader::parse(name, template)?;
    let own =
        Claims { issuer: issuer.clone(), subject: subject.clone(), audience: audience.clone(), scope: scope.clone() };
    let signing = Signing { algorithm: *algorithm, key_id: key_id.as_deref(), lifetime_secs: *lifetime_secs };
    let recipe = JwtBearer::parse(token_endpoint.as_deref(), own, claims, &signing, header.clone())?;
    *token_endpoint = recipe.endpoint.as_ref().map(ToString::to_string);
    header.name.as_str().clone_into(name);
    let slots = Slots::new([header.name.clone()], &[]);
    Ok((Kind::JwtBearer(Box::new(recipe), header), text, slots))
}

fn hmac(text: &RecipeText) -> Result<Parsed, RecipeError> {
    let mut text = text.clone();
    let RecipeText::Hmac { algorithm, secret, encoding, message, timestamp, timestamp_header, name, template } =
        &mut text
    else {
        return Err(NOT_THIS_KIND);
    };
    let forms = Forms { algorithm: *algorithm, secret: *secret, encoding: *encoding, timestamp: *timestamp };
    let recipe = Hmac::parse(forms, message, timestamp_header.as_deref(), name, template)?;
    *timestamp_header = recipe.timestamp_header.as_ref().map(ToString::to_string);
    recipe.name.as_str().clone_into(name);
    let slots = Slots::new(recipe.timestamp_header.iter().cloned().chain([recipe.name.clone()]), &[]);
    Ok((Kind::Hmac(recipe), text, slots))
}

/// Each function above is called with its own kind.
const NOT_THIS_KIND: RecipeError = RecipeError::Member { member: "kind", why: "another one was expected" };
