/*
 * assay.h: the Assay SDK for C, and for every language that can call it.
 *
 * Strings in are NUL-terminated UTF-8 of at most 4096 bytes. Bytes in are a pointer and a length; the pointer may be
 * NULL where the length is 0. What a function reads, it copies: nothing of the caller's has to outlive the call.
 *
 * Ownership: what a function named _new, _fetch or _rotate gives you, and what a callback is handed as a pointer to a handle, is yours, and its _free takes it back; NULL may be
 * freed. Text given out (const char *) belongs to what it was asked of and ends with it; text of the four functions at the top is for ever.
 *
 * Threads: a client may be used from any number of threads at once. A builder and an outcome may be used from any
 * thread, by one at a time. Nothing is kept for the process as a whole.
 *
 * Faults: a NULL where there must be none, text that is not UTF-8, a spent builder and the like give an assay_code, not a crash.
 * A Rust panic never leaves the library (ASSAY_PANICKED). What can't be checked: a pointer that is no longer, or never was, what its type says.
 *
 * Compatibility: functions and values are only ever added while ASSAY_ABI_VERSION stays; treat a value that you do not know
 * as an error.
 */
#ifndef ASSAY_H
#define ASSAY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ASSAY_ABI_VERSION 1

/* Whether a call did what it was asked. */
typedef int32_t assay_code;
enum {
    ASSAY_OK = 0,
    ASSAY_NULL_POINTER = 1,    /* a pointer that must not be NULL is */
    ASSAY_NOT_UTF8 = 2,        /* a string is not UTF-8 */
    ASSAY_TOO_LONG = 3,        /* a string, or a length, beyond its bound */
    ASSAY_BAD_VALUE = 4,       /* a number outside its range, or a setting made twice */
    ASSAY_BAD_SETTING = 5,     /* the settings make no client; the error text says which */
    ASSAY_SPENT = 6,           /* the builder has made its client */
    ASSAY_ANSWERED = 7,        /* the evidence request is answered already, or was given up */
    ASSAY_TOO_OFTEN = 8,       /* more than six times within a minute */
    ASSAY_KEY_FAILED = 9,      /* the device key could not be used */
    ASSAY_IN_CALLBACK = 10,    /* would wait for the very thread that it was called on */
    ASSAY_PANICKED = 11        /* a fault of the library; it may be used further */
};

/* The outcome of a fetch, in the field's words. None depends on whether the app is genuine: that is never told. */
typedef int32_t assay_status;
enum {
    ASSAY_STATUS_SUCCESS = 0,          /* there is a token */
    ASSAY_STATUS_NO_NETWORK = 1,       /* nobody reached */
    ASSAY_STATUS_POOR_NETWORK = 2,     /* answers lost or late */
    ASSAY_STATUS_MITM_DETECTED = 3,    /* the other end's certificate was refused */
    ASSAY_STATUS_NO_ASSAY_SERVICE = 4, /* the service is there and cannot issue tokens now */
    ASSAY_STATUS_RATE_LIMITED = 5,     /* too many fetches from this address */
    ASSAY_STATUS_BAD_URL = 6,          /* no URL, or plain http to another machine */
    ASSAY_STATUS_REJECTED = 7,         /* only from services that conceal nothing: this app failed */
    ASSAY_STATUS_INTERNAL_ERROR = 8    /* this side's doing; the error text says what */
};

/* What to do with a gateway's answer. */
typedef int32_t assay_reaction;
enum {
    ASSAY_REACTION_DELIVER = 0,    /* the answer is for the app */
    ASSAY_REACTION_RETRY = 1,      /* fetch a token and send the same request again, once */
    ASSAY_REACTION_FETCH_AGAIN = 2,/* the answer is for the app; the next request carries a new token */
    ASSAY_REACTION_WAIT = 3        /* the token is fine; send again after *wait_ms, or give the answer to the app */
};

/* Evidence that a platform gives. The measurement and the device key's signature are the SDK's own. */
typedef int32_t assay_evidence_kind;
enum {
    ASSAY_EVIDENCE_APPLE_APP_ATTEST = 1,
    ASSAY_EVIDENCE_APPLE_ASSERTION = 2,
    ASSAY_EVIDENCE_PLAY_INTEGRITY = 3,
    ASSAY_EVIDENCE_ANDROID_KEY = 4
};

typedef struct assay_builder assay_builder;
typedef struct assay_client assay_client;
typedef struct assay_outcome assay_outcome;
typedef struct assay_request assay_request;

typedef struct assay_bytes {
    const uint8_t *data;
    size_t length;
} assay_bytes;

/* ---- Callbacks. Called on threads of the SDK, several at once; each gets the pointer it was set with. None may throw: a C++
 * exception that leaves one ends the process. ---- */

/* The SDK will not use this pointer again. Called once; never for a function of the builder that did not return ASSAY_OK. */
typedef void (*assay_release_fn)(void *user);

/* Whether this evidence can be had now: 0 for no. */
typedef int32_t (*assay_available_fn)(void *user);

/* Make evidence over the request's transcript, and answer with assay_evidence_complete or _fail: now or later, on any
 * thread, within the fetch's time; then free the request. It is yours, and outlives its client. */
typedef void (*assay_evidence_fn)(void *user, assay_request *request);

/* The device key's public half into out (room for 128 bytes), its length into *length; 0 when done. A point (SEC 1,
 * uncompressed, 65 bytes) or a SubjectPublicKeyInfo (91 bytes). The same at every call. */
typedef int32_t (*assay_public_key_fn)(void *user, uint8_t *out, size_t *length);

/* ECDSA with SHA-256 over message into out (room for 128 bytes), its length into *out_length; 0 when done.
 * r || s (64 bytes) or DER. */
typedef int32_t (*assay_sign_fn)(void *user, const uint8_t *message, size_t length, uint8_t *out, size_t *out_length);

/* The outcome is yours to free. Called exactly once, also when the client is freed first. */
typedef void (*assay_fetched_fn)(void *user, assay_outcome *outcome);

/* ---- About the library ---- */

/* ASSAY_ABI_VERSION of the library; compare it with the header's before anything else. */
uint32_t assay_abi_version(void);
const char *assay_version(void);
/* The words without their prefix ("NO_NETWORK"), for logs; "UNKNOWN" for other values. */
const char *assay_code_name(assay_code code);
const char *assay_status_name(assay_status status);

/* ---- Settings ---- */

/* service_url: https://attest.example.com/assay/v1. app and version: as they were registered there. */
assay_code assay_builder_new(const char *service_url, const char *app, const char *version, assay_builder **builder);
void assay_builder_free(assay_builder *builder);
/* The build's label, where a version has several (per processor, per store). */
assay_code assay_builder_build_label(assay_builder *builder, const char *label);
/* A fact about the device for the operator's eyes (model, OS version); at most 14, nothing personal: they are stored. */
assay_code assay_builder_device_fact(assay_builder *builder, const char *name, const char *value);
/* A folder that is the SDK's alone (made with mode 0700): the device key lives in it. Without it, and without
 * assay_builder_device_key, the device is a new one at each start. */
assay_code assay_builder_storage(assay_builder *builder, const char *folder);
/* A device key in hardware, instead of the one in storage. release may be NULL. */
assay_code assay_builder_device_key(assay_builder *builder, assay_public_key_fn public_key, assay_sign_fn sign,
                                    assay_release_fn release, void *user);
/* A library that was named at registration (its file name, "libshop.so"): it is measured too. */
assay_code assay_builder_measure_library(assay_builder *builder, const char *name);
/* Evidence of a platform. available (NULL: always) is asked first; release may be NULL. */
assay_code assay_builder_evidence(assay_builder *builder, assay_evidence_kind kind, assay_available_fn available,
                                  assay_evidence_fn evidence, assay_release_fn release, void *user);
/* Trust these PEM certificates for the service and no others: a private authority, or a pin. At most 1 MiB. */
assay_code assay_builder_trust_only(assay_builder *builder, const uint8_t *pem, size_t length);
/* The longest one request may take (10,000 ms) and a whole fetch with its retries (20,000 ms): 1 to 600,000. */
assay_code assay_builder_timeouts(assay_builder *builder, uint32_t request_ms, uint32_t fetch_ms);
/* Plain http to another machine: whoever is on the way reads tokens and can use them. */
assay_code assay_builder_danger_plaintext(assay_builder *builder);

/* ---- The client ---- */

/* The client; sends nothing. The builder is spent by it and has still to be freed. error (may be NULL) gets a sentence of
 * at most error_size - 1 bytes and a NUL, empty when all is well. */
assay_code assay_client_new(assay_builder *builder, assay_client **client, char *error, size_t error_size);
/* Does not wait: callbacks under way may still run; their release says when they are over. Safe inside a callback. */
void assay_client_free(assay_client *client);

/* A token: the one in hand, or a new one. Waits for at most the fetch's time; not to be called inside a callback. bound_to: the
 * values of the headers that the route binds tokens to, in its order (count 0: none; at most 16). Never NULL. */
assay_outcome *assay_fetch_token(const assay_client *client, const assay_bytes *bound_to, size_t count);
/* The same without waiting. fetched NULL: only so that a token is in hand when it is wanted. When the code is not
 * ASSAY_OK, fetched is not called. */
assay_code assay_fetch_token_async(const assay_client *client, const assay_bytes *bound_to, size_t count,
                                   assay_fetched_fn fetched, void *user);

/* An outcome may have a token and a status that is not SUCCESS: an older token, because no new one could be had. Send it. */
assay_status assay_outcome_status(const assay_outcome *outcome);
/* The text for the Assay-Token header; NULL when there is none. A secret: never log it. */
const char *assay_outcome_token(const assay_outcome *outcome);
/* A sentence without secrets for a log; NULL when all is well. */
const char *assay_outcome_error(const assay_outcome *outcome);
/* How long the service asked to be left alone; 0 when it did not. */
uint64_t assay_outcome_retry_after_ms(const assay_outcome *outcome);
/* Wipes the token's text. */
void assay_outcome_free(assay_outcome *outcome);

/* What to do with a gateway's answer to a request that carried outcome's token, and does the client's part of it. body: of the
 * answer, for 401, 403 and 503 (others may give NULL, 0); beyond 16 KiB it is not read. retry_after: that header, or
 * NULL. wait_ms (may be NULL) is set for WAIT: jittered, a minute and a quarter at most. Anything NULL that must not be: DELIVER. */
assay_reaction assay_react(const assay_client *client, const assay_outcome *outcome, int32_t http_status,
                           const uint8_t *body, size_t length, const char *retry_after, uint64_t *wait_ms);
/* Forgets this outcome's token (NULL: every token), so that the next fetch brings a new one. */
assay_code assay_invalidate(const assay_client *client, const assay_outcome *outcome);
/* The network came back or changed: fetches that failed for want of it may be made at once. */
assay_code assay_network_changed(const assay_client *client);

/* ---- The device key ---- */

/* A new key in storage, shown to the service together with the old one, which vouches for it. Waits like a fetch. With
 * an outcome other than SUCCESS the old key stays in use, unless only the file of the new one could not be put in its place. */
assay_outcome *assay_rotate_device_key(const assay_client *client);
/* The same with a key in hardware. Whatever the outcome, release is called when the key is not used (any more). */
assay_outcome *assay_rotate_device_key_to(const assay_client *client, assay_public_key_fn public_key, assay_sign_fn sign,
                                          assay_release_fn release, void *user);
/* 65 bytes: SEC 1, uncompressed. */
assay_code assay_device_public_key(const assay_client *client, uint8_t *out);
/* ECDSA with SHA-256, r || s, 64 bytes, over a message of 33 bytes to 64 KiB: what proofs of possession are made of. */
assay_code assay_sign(const assay_client *client, const uint8_t *message, size_t length, uint8_t *out);

/* ---- Requests for evidence ---- */

/* 32 bytes that live as long as the request. They name the challenge, the device key and all else that the attest request
 * says: the hash for App Attest, the nonce or request hash for Play Integrity. */
const uint8_t *assay_request_transcript(const assay_request *request);
/* 32 bytes likewise: the attestation challenge of an Android key that does not exist yet. */
const uint8_t *assay_request_transcript_without_device_key(const assay_request *request);
/* The platform's object, at most 32 KiB. */
assay_code assay_evidence_complete(const assay_request *request, const uint8_t *data, size_t length);
/* There is none; what: a sentence for the log. The fetch fails with it. */
assay_code assay_evidence_fail(const assay_request *request, const char *what);
/* After its answer; before one, the fetch fails at once. */
void assay_request_free(assay_request *request);

#ifdef __cplusplus
}
#endif

#endif
