//! DER, as much as certificates and signed profiles need. Comes in: bytes. Goes out: one element after the other.
//! Definite lengths only, as DER has it; lengths that do not fit are refused, and nothing recurses.

pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const CONTEXT_0: u8 = 0xa0;

/// One element.
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// Tag, length and content.
    pub(crate) whole: &'a [u8],
}

/// Takes the first element of `bytes`, which then begin behind it.
pub(crate) fn next<'a>(bytes: &mut &'a [u8]) -> Option<Element<'a>> {
    let [tag, first, ..] = **bytes else { return None };
    // Tags of several bytes are in nothing that is read here.
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (header, len) = match first {
        0..=0x7f => (2, usize::from(first)),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let digits = bytes.get(2..2 + count)?;
            (2 + count, digits.iter().fold(0_usize, |len, digit| (len << 8) | usize::from(*digit)))
        }
        _ => return None,
    };
    let whole = bytes.get(..header.checked_add(len)?)?;
    *bytes = bytes.get(whole.len()..)?;
    Some(Element { tag, content: whole.get(header..)?, whole })
}

/// Takes the first element, which must have `tag`, and gives its content.
pub(crate) fn expect<'a>(bytes: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    next(bytes).filter(|element| element.tag == tag).map(|element| element.content)
}

/// The `SubjectPublicKeyInfo` of an X.509 certificate, DER and whole (RFC 5280, section 4.1).
pub(crate) fn public_key_of(certificate: &[u8]) -> Option<&[u8]> {
    let mut rest = certificate;
    let mut certificate = expect(&mut rest, SEQUENCE)?;
    if !rest.is_empty() {
        return None;
    }
    let mut fields = expect(&mut certificate, SEQUENCE)?;
    let mut first = next(&mut fields)?;
    if first.tag == CONTEXT_0 {
        first = next(&mut fields)?;
    }
    if first.tag != INTEGER {
        return None;
    }
    // Signature algorithm, issuer, validity, subject.
    for _ in 0..4 {
        expect(&mut fields, SEQUENCE)?;
    }
    next(&mut fields).filter(|key| key.tag == SEQUENCE).map(|key| key.whole)
}

/// The content that a CMS `SignedData` carries (RFC 5652, sections 3 and 5.1). Its signatures are not looked at.
pub(crate) fn signed_content(message: &[u8]) -> Option<&[u8]> {
    let mut rest = message;
    let mut info = expect(&mut rest, SEQUENCE)?;
    if expect(&mut info, OBJECT_IDENTIFIER)? != SIGNED_DATA {
        return None;
    }
    let mut explicit = expect(&mut info, CONTEXT_0)?;
    let mut signed = expect(&mut explicit, SEQUENCE)?;
    expect(&mut signed, INTEGER)?;
    // digestAlgorithms, a SET.
    expect(&mut signed, 0x31)?;
    let mut inner = expect(&mut signed, SEQUENCE)?;
    if expect(&mut inner, OBJECT_IDENTIFIER)? != DATA {
        return None;
    }
    let mut content = expect(&mut inner, CONTEXT_0)?;
    expect(&mut content, OCTET_STRING)
}

/// 1.2.840.113549.1.7.2 and .1
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_lengths_that_do_not_fit() {
        for bad in [
            &[][..],
            &[0x30],
            &[0x30, 1],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x1f, 1, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0],
        ] {
            let mut rest = bad;
            assert!(next(&mut rest).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn finds_the_key_of_a_certificate() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["a".into()]).unwrap().self_signed(&key).unwrap();
        use rcgen::PublicKeyData;
        assert_eq!(public_key_of(certificate.der()), Some(&key.subject_public_key_info()[..]));
        assert_eq!(public_key_of(&[&certificate.der()[..], b"x"].concat()), None);
        assert_eq!(signed_content(certificate.der()), None);
    }
}
