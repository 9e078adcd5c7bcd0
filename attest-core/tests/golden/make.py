#!/usr/bin/env python3
"""Makes golden.json: the wire formats of attest-core, computed from their description alone.

An implementation of its own, in another language (standard library and `cryptography`); the test
tests/it/golden.rs holds the Rust code to it. Change it only together with the version in a format's name.
"""
import base64, hashlib, hmac, json, struct
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives import serialization


def b64u(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def field(data):
    return struct.pack(">I", len(data)) + data


def items(entries):
    return struct.pack(">I", len(entries)) + b"".join(field(entry) for entry in entries)


def sha256(data):
    return hashlib.sha256(data).digest()


def hkdf(secret, salt, info):
    prk = hmac.digest(salt, secret, "sha256")
    return hmac.digest(prk, info + b"\x01", "sha256")


def transcript(device_key, previous=None):
    text = b"assay-transcript-v1\0" + field(bytes(range(73)))
    for value in (b"default", b"shop", b"3.2.1", b"linux", b"arm64"):
        text += field(value)
    text += struct.pack(">I", 2) + field(b"model") + field(b"X") + field(b"os") + field(b"Linux 6.8")
    text += items([b"root", b"tracer"]) + field(bytes([7]) * 32) + field(device_key) + items([b"measurement"])
    return sha256(text + (b"" if previous is None else field(previous)))


def challenge():
    key_set = sha256(b"assay-key-set-id-v1\0default")[:8]
    body = b"\x01" + bytes([7]) * 16 + bytes([9]) * 8 + key_set + struct.pack(">q", 1_700_000_000_123)
    return body + hmac.digest(bytes([3]) * 32, body, "sha256")


def measurement():
    text = b"assay-measurement-v1\0" + struct.pack(">I", 2)
    for vaddr, flags, data in ((0, 4, b"read only"), (4096, 5, b"program text")):
        text += struct.pack(">QQI", vaddr, len(data), flags) + data
    return sha256(text)


def combined(main, libraries):
    text = b"assay-measurement-v2\0" + struct.pack(">I", 1 + len(libraries)) + field(b"") + main
    return sha256(text + b"".join(field(name) + libraries[name] for name in sorted(libraries)))


def asv(jti, iss, aud, kid, iat, exp, build=0):
    key = hkdf(bytes([5]) * 32, jti, b"assay-asv-v1")
    block = bytes([1, 1, 3, 1, 0, 1]) + struct.pack(">II", 0x01020304, build) + bytes(2)
    associated = field(iss) + field(aud) + field(kid) + struct.pack(">qq", iat * 1000, exp * 1000)
    return b64u(AESGCM(key).encrypt(bytes(12), block, associated))


def arc(reasons, random):
    block = reasons.to_bytes(6, "big") + random + bytes(4)
    cipher = Cipher(algorithms.AES(bytes([6]) * 32), modes.ECB()).encryptor()
    return base64.b32encode(cipher.update(block)).decode().rstrip("=")


def token(sealed, code, did, pay, ed25519=None):
    header = {"alg": "HS256", "kid": "k1", "typ": "JWT"}
    if ed25519:
        header = {"alg": "ASSAY-EdDSA", "crit": ["asv"], "kid": "k1", "typ": "assay-sealed+jwt"}
    claims = {
        "iss": "https://api.example/assay", "aud": "api", "iat": 1_700_000_000, "exp": 1_700_000_300,
        "jti": b64u(bytes([8]) * 16), "did": did, "asv": sealed, "arc": code, "app": "shop", "ver": "3.2.1", "pay": pay,
    }
    parts = [b64u(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)]
    text = ".".join(parts)
    if ed25519:
        return text + "." + b64u(ed25519.sign(b"assay-sealed-v1\0" + text.encode()))
    return text + "." + b64u(hmac.digest(bytes([4]) * 32, text.encode(), "sha256"))


def main():
    # The public key of RFC 7515 A.3.
    x, y = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    device_key = b"\x04" + base64.urlsafe_b64decode(x + "=") + base64.urlsafe_b64decode(y + "=")
    thumbprint = sha256(('{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}' % (x, y)).encode())
    did = b64u(sha256(bytes([2]) * 32 + thumbprint)[:16])
    t, digest = transcript(device_key), measurement()
    jti = b64u(bytes([8]) * 16)
    sealed = asv(jti.encode(), b"https://api.example/assay", b"api", b"k1", 1_700_000_000, 1_700_000_300)
    code = arc(1 << 10 | 1 << 4, bytes(range(6)))
    asv_of_build = asv(jti.encode(), b"https://api.example/assay", b"api", b"k1", 1_700_000_000, 1_700_000_300, 77)
    values = [b"Bearer a", b"bc"]
    prefixed = b"".join(field(value) for value in values)
    feed = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    public = feed.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), device_key)
    spki = point.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    mac_key = hkdf(digest, challenge(), b"assay-measurement-mac-v1")
    golden = {
        "transcript": t.hex(),
        "transcript_without_device_key": transcript(b"").hex(),
        "transcript_of_renewed_key": transcript(device_key, b"\x04" + bytes([9]) * 64).hex(),
        "challenge": challenge().hex(),
        "measurement": digest.hex(),
        "measurement_combined": combined(digest, {b"libz.so": bytes([2]) * 32, b"liba.so": bytes([1]) * 32}).hex(),
        "measurement_mac": hmac.digest(mac_key, t, "sha256").hex(),
        "thumbprint": b64u(thumbprint),
        "did": did,
        "pay_one": base64.b64encode(sha256(b"Bearer a")).decode(),
        "pay_two": base64.b64encode(sha256(prefixed)).decode(),
        "pay_two_concatenated": base64.b64encode(sha256(b"Bearer abc")).decode(),
        "asv": sealed,
        "asv_of_build": asv_of_build,
        "arc": code,
        "token": token(sealed, code, did, base64.b64encode(sha256(prefixed)).decode()),
        "sealed_token": token(sealed, code, did, base64.b64encode(sha256(prefixed)).decode(), feed),
        "ipk": base64.b64encode(spki).decode(),
        "feed_public": "ed25519:" + b64u(public),
        "feed_document": {"payload": b64u(b"{}"), "signature": b64u(feed.sign(b"assay-feed-v1\0{}"))},
        "revocations": {"payload": b64u(b"{}"), "signature": b64u(feed.sign(b"assay-revocations-v1\0{}"))},
    }
    print(json.dumps(golden, indent=2))


main()
