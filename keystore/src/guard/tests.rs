//! Every form is masked, nothing else is, wherever the chunks are cut.

use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use proptest::prelude::*;

use super::*;

/// A key with everything that encoders treat differently.
const AWKWARD: &[u8] = br#"sk-A/b+c=d&e"f\g<h>i'j k%20~(x)"#;
const SIGNATURE: &[u8] = b"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const USUAL: &[u8] = b"sk-proj-Zb81kQv0Xn4TtGm7RwLc2PyEa9Ud";

fn guard(secret: &[u8]) -> Arc<Guard> {
    Guard::for_secret(secret, &[b"Bearer ", secret].concat()).unwrap()
}

/// What a header would look like: masked whole, or as it was.
fn scrubbed(guard: &Guard, text: &[u8]) -> Vec<u8> {
    guard.scrub_header(text).unwrap_or_else(|| text.to_vec())
}

/// One chunk after another, each as it leaves, with what the stream holds back at the end.
fn streamed<'a>(guard: &Arc<Guard>, chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, u64) {
    let mut stream = guard.stream();
    let mut out = Vec::new();
    chunks.into_iter().for_each(|chunk| out.extend_from_slice(&stream.push(Bytes::copy_from_slice(chunk), false)));
    out.extend_from_slice(&stream.push(Bytes::new(), true));
    (out, stream.findings())
}

/// Masks by looking for each form at each place.
fn naively(secrets: &[(&[u8], &[u8])], text: &[u8]) -> Vec<u8> {
    let mut out = text.to_vec();
    for pattern in patterns::of_all(secrets) {
        for at in 0..(text.len() + 1).saturating_sub(pattern.len()) {
            if text[at..].starts_with(&pattern) {
                out[at + VISIBLE..at + pattern.len()].fill(MASK);
            }
        }
    }
    out
}

#[test]
fn refuses_secrets_that_would_be_found_where_they_are_not() {
    assert_eq!(Guard::for_secret(b"short-secret-15", b"x").unwrap_err(), TooShort);
    assert_eq!(Guard::for_secrets(&[]).unwrap_err(), TooShort);
}

#[test]
fn no_form_of_a_key_passes() {
    for secret in [AWKWARD, USUAL] {
        let guard = guard(secret);
        let text = String::from_utf8(secret.to_vec()).unwrap();
        let strict = |case: fn(&[u8]) -> String| {
            let each = secret.iter().map(|byte| match byte {
                byte if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) => char::from(*byte).to_string(),
                byte => format!("%{}", case(&[*byte])),
            });
            each.collect::<String>()
        };
        let by_number = |before: &str, after: &str, case: fn(&[u8]) -> String| {
            let each = secret.iter().map(|byte| match byte {
                byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
                byte => format!("{before}{}{after}", case(&[*byte])),
            });
            each.collect::<String>()
        };
        let upper: fn(&[u8]) -> String = |bytes| HEXUPPER.encode(bytes);
        let lower: fn(&[u8]) -> String = |bytes| HEXLOWER.encode(bytes);
        let json = serde_json::to_string(&text).unwrap();
        let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        let forms = [
            text.clone(),
            HEXLOWER.encode(secret),
            HEXUPPER.encode(secret),
            strict(upper),
            strict(lower),
            strict(upper).replace('%', "%25"),
            strict(lower).replace('%', "%25"),
            json[1..json.len() - 1].to_owned(),
            json[1..json.len() - 1].replace('/', "\\/"),
            by_number("\\u00", "", lower),
            by_number("\\u00", "", upper),
            by_number("&#x", ";", upper),
            html.replace('\'', "&#39;"),
            html.replace('\'', "&#x27;").replace('/', "&#x2F;").replace('=', "&#x3D;"),
            html.replace('\'', "&#x27;").replace('/', "&#x2f;").replace('=', "&#x3d;"),
        ];
        for form in forms {
            let masked = scrubbed(&guard, format!("<{form}>").as_bytes());
            assert_eq!(masked, format!("<{}>", "*".repeat(form.len())).as_bytes(), "{form}");
        }
    }
}

#[test]
fn base64_is_found_in_every_alignment_and_both_alphabets() {
    let guard = guard(AWKWARD);
    for before in 0..7 {
        for after in 0..4 {
            let whole = [vec![0xFB; before], AWKWARD.to_vec(), vec![0xEF; after]].concat();
            for encoded in
                [BASE64.encode(&whole), BASE64URL_NOPAD.encode(&whole), BASE64.encode(&whole).replace('/', "\\/")]
            {
                let masked = scrubbed(&guard, encoded.as_bytes());
                let stars = masked.iter().filter(|byte| **byte == MASK).count();
                assert!(stars >= AWKWARD.len() * 8 / 6 - 2, "{before} {after}: {encoded}");
                assert_eq!(masked.len(), encoded.len());
            }
        }
    }
}

#[test]
fn a_basic_credential_is_a_form_of_its_own() {
    let rendered = format!("Basic {}", BASE64.encode(b"user:0123456789abcdef"));
    let guard = Guard::for_secret(b"0123456789abcdef", rendered.as_bytes()).unwrap();
    assert_eq!(scrubbed(&guard, rendered.as_bytes()), "*".repeat(rendered.len()).as_bytes());
}

#[test]
fn a_clean_header_is_left_alone() {
    assert_eq!(guard(USUAL).scrub_header(b"sk-proj-somebody-else's-key-0123456789"), None);
    assert_eq!(guard(USUAL).scrub_header(b""), None);
}

#[test]
fn a_clean_chunk_passes_as_the_same_buffer_at_once() {
    let mut stream = guard(USUAL).stream();
    let chunk = Bytes::from(b"data: {\"delta\":\"sk-pro\"}\n\n".repeat(100));
    let out = stream.push(chunk.clone(), false);
    assert_eq!((out.as_ptr(), out.len(), stream.held()), (chunk.as_ptr(), chunk.len(), 0));
}

#[test]
fn up_to_three_bytes_that_could_begin_a_key_are_never_held_back() {
    let guard = guard(USUAL);
    for (ending, held) in
        [("s", 0), ("sk", 0), ("sk-", 0), ("sk-p", 1), ("sk-proj-Zb", 7), ("sk-proj-Zc", 0), ("sk-p\n\n", 0)]
    {
        let mut stream = guard.stream();
        let text = format!("event {ending}");
        let out = stream.push(Bytes::from(text.clone()), false);
        assert_eq!((stream.held(), out.len()), (held, text.len() - held), "{ending:?}");
        assert_eq!(stream.push(Bytes::new(), true).len(), held);
        assert_eq!(stream.held(), 0);
    }
}

#[test]
fn what_is_masked_already_is_not_held_back() {
    let guard = guard(USUAL);
    let mut stream = guard.stream();
    let out = stream.push(Bytes::from([b"you sent ".as_slice(), USUAL].concat()), false);
    assert_eq!((out.len(), stream.held()), (9 + USUAL.len(), 0), "a body may end so, and trailers follow");
    // A form that begins with another one is masked to its end all the same.
    let longer = [USUAL, b"-and-more"].concat();
    let guard = Guard::for_secrets(&[(USUAL, USUAL), (&longer, &longer)]).unwrap();
    for cut in 0..longer.len() {
        let (out, findings) = streamed(&guard, [&longer[..cut], &longer[cut..]]);
        assert_eq!((&out[..VISIBLE], findings), (&longer[..VISIBLE], 1), "cut at {cut}");
        assert!(out[VISIBLE..].iter().all(|byte| *byte == MASK), "cut at {cut}");
    }
}

#[test]
fn a_partial_match_that_comes_to_nothing_leaves_unchanged() {
    let guard = guard(USUAL);
    let text = b"sk-proj-Zb81kQv0Xn4TtGm7RwLc2PyEa9Ux";
    for cut in 0..text.len() {
        let (out, findings) = streamed(&guard, [&text[..cut], &text[cut..]]);
        assert_eq!((out.as_slice(), findings), (text.as_slice(), 0));
    }
}

#[test]
fn findings_that_overlap_count_once() {
    let guard = Guard::for_secret(b"abcabcabcabcabcabc", b"").unwrap_or_else(|_| guard(b"abcabcabcabcabcabc"));
    let (out, findings) = streamed(&guard, [b"xabcabcabcabcabcabcabcabcx--abcabcabcabcabcabc".as_slice()]);
    assert_eq!(out, b"xabc*********************x--abc***************");
    assert_eq!(findings, 2);
}

#[test]
fn every_cut_into_two_and_every_single_byte_give_the_result_of_one_piece() {
    let secrets: [(&[u8], &[u8]); 2] = [(AWKWARD, b""), (USUAL, b"")];
    let guard = Guard::for_secrets(&[(AWKWARD, AWKWARD), (USUAL, USUAL)]).unwrap();
    let mut text = b"sk-sk-A/b{".to_vec();
    for pattern in patterns::of_all(&[(AWKWARD, AWKWARD), (USUAL, USUAL)]) {
        text.extend_from_slice(&pattern[..pattern.len() / 2]);
        text.extend_from_slice(&pattern);
        text.push(b'7');
    }
    let expected = naively(&secrets.map(|(secret, _)| (secret, secret)), &text);
    let (whole, findings) = streamed(&guard, [text.as_slice()]);
    assert_eq!(String::from_utf8_lossy(&whole), String::from_utf8_lossy(&expected));
    for cut in 0..text.len() {
        assert_eq!(streamed(&guard, [&text[..cut], &text[cut..]]), (whole.clone(), findings), "cut at {cut}");
    }
    assert_eq!(streamed(&guard, text.chunks(1)), (whole, findings));
}

#[test]
fn refuses_to_look_for_a_short_derived_credential() {
    assert_eq!(guard(USUAL).with(&[b"fifteen-bytes-x"]).unwrap_err(), TooShort);
    let guard = guard(USUAL);
    assert!(Arc::ptr_eq(&guard.with::<&[u8]>(&[]).unwrap(), &guard), "nothing more to look for");
}

#[test]
fn a_derived_credential_is_masked_in_every_form_and_the_key_as_before() {
    let token: &[u8] = b"ya29.a0-minted_access/token+0123456789==";
    let guard = guard(USUAL).with(&[token, SIGNATURE]).unwrap();
    for secret in [token, SIGNATURE, USUAL] {
        for form in patterns::of_all(&[(secret, secret)]) {
            let text = [b"<".as_slice(), &form, b">"].concat();
            let masked = scrubbed(&guard, &text);
            assert_eq!(masked, [b"<".as_slice(), &vec![MASK; form.len()], b">"].concat());
            let (body, findings) = streamed(&guard, text.chunks(5));
            assert_eq!((body.len(), findings), (text.len(), 1), "{}", String::from_utf8_lossy(&form));
            assert!(body[1 + VISIBLE..=form.len()].iter().all(|byte| *byte == MASK));
        }
    }
}

#[test]
fn a_key_of_several_lines_is_found_as_json_and_html_write_it() {
    let secret = b"-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n";
    let guard = guard(secret);
    let text = String::from_utf8(secret.to_vec()).unwrap();
    let json = serde_json::to_string(&text).unwrap();
    for form in [text.clone(), json.trim_matches('"').to_owned(), text.replace('\n', "%0A").replace(' ', "+")] {
        let masked = scrubbed(&guard, form.as_bytes());
        assert!(masked.iter().all(|byte| *byte == MASK), "{form}: {}", String::from_utf8_lossy(&masked));
    }
}

#[test]
fn every_cut_of_a_layered_stream_gives_the_result_of_one_piece() {
    let guard = guard(USUAL).with(&[SIGNATURE]).unwrap();
    let text = [b"sk-proj-9f8".as_slice(), SIGNATURE, USUAL, &SIGNATURE[..30], USUAL, &USUAL[..20], SIGNATURE].concat();
    let (whole, findings) = streamed(&guard, [text.as_slice()]);
    assert_eq!(findings, 4);
    for cut in 0..text.len() {
        for second in cut..text.len() {
            let chunks = [&text[..cut], &text[cut..second], &text[second..]];
            assert_eq!(streamed(&guard, chunks), (whole.clone(), findings), "cut at {cut} and {second}");
        }
    }
}

#[test]
fn the_longest_secret_is_guarded_too() {
    let secret: Vec<u8> = (0..8192_u32).map(|at| b'!' + u8::try_from(at * 7919 % 94).unwrap()).collect();
    let guard = guard(&secret);
    let text = [b"before ".as_slice(), &secret, b" after"].concat();
    let (out, findings) = streamed(&guard, text.chunks(1000));
    assert_eq!(findings, 1);
    assert_eq!(
        out.iter().filter(|byte| **byte == MASK).count(),
        8192 - VISIBLE + secret[..VISIBLE].iter().filter(|byte| **byte == MASK).count()
    );
}

/// Text made of pieces of forms, so that beginnings, ends and overlaps are common.
fn pieces(secret: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let forms = patterns::of_all(&[(secret, secret)]);
    let piece = (0..forms.len(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4_u8);
    prop::collection::vec((piece, prop::collection::vec(any::<u8>(), 0..3)), 0..12).prop_map(move |pieces| {
        let each = pieces.into_iter().flat_map(|((form, from, to, kind), noise)| {
            let form = &forms[form];
            let (from, to) = (from.index(form.len()), to.index(form.len() + 1));
            let piece = match kind {
                0 => form.as_slice(),
                1 => &form[from..],
                2 => &form[..to],
                _ => form.get(from..to).unwrap_or_default(),
            };
            [piece, &noise].concat()
        });
        each.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn chunks_never_change_the_result(
        (secret, text) in prop::sample::select(vec![AWKWARD, USUAL, b"aaaaaaaaaaaaaaaab", b"0123456701234567"]).prop_flat_map(|secret| (Just(secret), pieces(secret))),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let guard = guard(secret);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).chain([0, text.len()]).collect();
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]);
        let (whole, findings) = streamed(&guard, [text.as_slice()]);
        prop_assert_eq!(&whole, &naively(&[(secret, secret)], &text));
        prop_assert_eq!(streamed(&guard, chunks), (whole, findings));
    }
}
