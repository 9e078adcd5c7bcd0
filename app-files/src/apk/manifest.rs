//! `AndroidManifest.xml`. Comes in: the compiled document. Goes out: package, versions, the oldest Android it runs on.
//! Attributes of the framework are taken by their number, as Android takes them: their names are for people.

use super::axml::{self, Attribute, Element, Value};
use crate::error::AppFileError;

const VERSION_CODE: u32 = 0x0101_021b;
const VERSION_NAME: u32 = 0x0101_021c;
const VERSION_CODE_MAJOR: u32 = 0x0101_0576;
const MIN_SDK: u32 = 0x0101_020c;
const MAX_PACKAGE: usize = 223;

/// What the manifest says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) package: String,
    pub(super) version_name: Option<String>,
    pub(super) version_code: Option<u64>,
    pub(super) min_sdk: Option<u32>,
}

pub(super) fn parse(document: &[u8]) -> Result<Manifest, AppFileError> {
    let is_asked = |depth, name: &str| depth == 1 || (depth == 2 && name == "uses-sdk");
    let elements = axml::elements(document, is_asked).ok_or(AppFileError::Manifest("not a compiled manifest"))?;
    let mut roots = elements.iter().filter(|element| element.depth == 1);
    let root = roots.next().filter(|root| root.name == "manifest" && roots.next().is_none());
    let root = root.ok_or(AppFileError::Manifest("its outermost element is not one <manifest>"))?;

    let package = match one(root, |attribute| attribute.name.as_deref() == Some("package"))? {
        Some(Value::Text(package)) if is_package(package) => package.clone(),
        _ => return Err(AppFileError::Manifest("it names no package, or one that Android would not take")),
    };
    let number = |element, wanted| match one(element, |attribute| attribute.resource == wanted)? {
        Some(Value::Number(number)) => Ok(Some(*number)),
        Some(Value::Text(text)) => Ok(text.parse().ok()),
        Some(Value::Other) | None => Ok(None),
    };
    // A version that lies in a resource is not looked up: the operator names it.
    let version_name = match one(root, |attribute| attribute.resource == VERSION_NAME)? {
        Some(Value::Text(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(Value::Other) | None => None,
    };
    let major = u64::from(number(root, VERSION_CODE_MAJOR)?.unwrap_or(0));
    let version_code = number(root, VERSION_CODE)?.map(|minor| (major << 32) | u64::from(minor));
    let mut sdks = elements.iter().filter(|element| element.depth == 2);
    let min_sdk = sdks.next().map(|sdk| number(sdk, MIN_SDK)).transpose()?.flatten();
    if sdks.next().is_some() {
        return Err(AppFileError::Manifest("it has <uses-sdk> twice"));
    }
    Ok(Manifest { package, version_name, version_code, min_sdk })
}

/// The one attribute that fits; two are refused, for readers differ in which they take.
fn one(element: &Element, fits: impl Fn(&Attribute) -> bool) -> Result<Option<&Value>, AppFileError> {
    let mut found = element.attributes.iter().filter(|attribute| fits(attribute)).map(|attribute| &attribute.value);
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(AppFileError::Manifest("it has an attribute twice")),
        (value, None) => Ok(value),
    }
}

/// As Android's own check: words of letters, digits and `_`, at least two, each beginning with a letter.
fn is_package(name: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    name.len() <= MAX_PACKAGE && name.contains('.') && name.split('.').all(word)
}
