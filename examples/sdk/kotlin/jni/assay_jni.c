/*
 * Native.java's methods. Bytes come in as copies, so that no Java array stays pinned; a code that is not ASSAY_OK becomes an
 * AssayException where there is no outcome to carry it.
 */
#include <stdlib.h>

#include "glue.h"

/* ---- What Java hands in ---- */

/* A copy of a byte[] with a NUL behind it; NULL for null, and without memory. *length may be NULL. */
static char *copy(JNIEnv *env, jbyteArray array, size_t *length)
{
    if (length != NULL)
        *length = 0;
    if (array == NULL)
        return NULL;
    jsize size = (*env)->GetArrayLength(env, array);
    char *bytes = malloc((size_t)size + 1);
    if (bytes == NULL)
        return NULL;
    (*env)->GetByteArrayRegion(env, array, 0, size, (jbyte *)bytes);
    bytes[size] = '\0';
    if (length != NULL)
        *length = (size_t)size;
    return bytes;
}

static char *copy_at(JNIEnv *env, jobjectArray arrays, jsize at, size_t *length)
{
    jbyteArray one = (jbyteArray)(*env)->GetObjectArrayElement(env, arrays, at);
    char *bytes = copy(env, one, length);
    (*env)->DeleteLocalRef(env, one);
    return bytes;
}

/* Code that is not ASSAY_OK becomes an AssayException. */
static void refuse(JNIEnv *env, const char *what, const char *why)
{
    jclass type = (*env)->FindClass(env, "dev/assay/sdk/AssayException");
    jmethodID make = type ? (*env)->GetMethodID(env, type, "<init>", "(Ljava/lang/String;Ljava/lang/String;)V") : NULL;
    if (make == NULL)
        return;
    jstring status = (*env)->NewStringUTF(env, what);
    jstring message = (*env)->NewStringUTF(env, why);
    jobject thrown = (*env)->NewObject(env, type, make, status, message);
    if (thrown != NULL)
        (*env)->Throw(env, (jthrowable)thrown);
}

static const assay_client *client_of(jlong handle) { return (const assay_client *)(intptr_t)handle; }
static assay_outcome *outcome_of(jlong handle) { return (assay_outcome *)(intptr_t)handle; }

/* ---- Native.java ---- */

#define NATIVE(type, name) JNIEXPORT type JNICALL Java_dev_assay_sdk_Native_##name

static assay_code set_strings(JNIEnv *env, assay_builder *builder, jobjectArray facts, jobjectArray libraries)
{
    assay_code code = ASSAY_OK;
    for (jsize at = 0; code == ASSAY_OK && at + 1 < (*env)->GetArrayLength(env, facts); at += 2) {
        char *name = copy_at(env, facts, at, NULL), *value = copy_at(env, facts, at + 1, NULL);
        code = assay_builder_device_fact(builder, name, value);
        free(name);
        free(value);
    }
    for (jsize at = 0; code == ASSAY_OK && at < (*env)->GetArrayLength(env, libraries); at++) {
        char *name = copy_at(env, libraries, at, NULL);
        code = assay_builder_measure_library(builder, name);
        free(name);
    }
    return code;
}

static assay_code set_callbacks(JNIEnv *env, assay_builder *builder, jintArray kinds, jobject app, jobject answers, jobject key)
{
    assay_code code = ASSAY_OK;
    if (key != NULL) {
        struct app *kept = assay_jni_keep(env, key, 0, NULL);
        if (kept == NULL)
            return ASSAY_KEY_FAILED;
        code = assay_builder_device_key(builder, assay_jni_public_key, assay_jni_sign, assay_jni_release,
                                        kept);
        if (code != ASSAY_OK)
            assay_jni_release(kept);
    }
    jsize count = app != NULL ? (*env)->GetArrayLength(env, kinds) : 0;
    for (jsize at = 0; code == ASSAY_OK && at < count; at++) {
        jint kind;
        (*env)->GetIntArrayRegion(env, kinds, at, 1, &kind);
        struct app *kept = assay_jni_keep(env, app, kind, answers);
        if (kept == NULL)
            return ASSAY_BAD_VALUE;
        code = assay_builder_evidence(builder, kind, assay_jni_available, assay_jni_evidence, assay_jni_release,
                                      kept);
        if (code != ASSAY_OK)
            assay_jni_release(kept);
    }
    return code;
}

NATIVE(jlong, open)(JNIEnv *env, jclass type, jbyteArray url, jbyteArray app, jbyteArray version, jbyteArray label,
                    jbyteArray storage, jobjectArray facts, jobjectArray libraries, jbyteArray trust_only, jintArray kinds,
                    jobject app_evidence, jobject answers, jobject key)
{
    (void)type;
    if (assay_abi_version() != ASSAY_ABI_VERSION) {
        refuse(env, "INTERNAL_ERROR", "libassay_sdk has another ABI than libassay_jni");
        return 0;
    }
    size_t pem_length;
    char *c_url = copy(env, url, NULL), *c_app = copy(env, app, NULL), *c_version = copy(env, version, NULL);
    char *name = copy(env, label, NULL), *folder = copy(env, storage, NULL), *pem = copy(env, trust_only, &pem_length);
    assay_builder *builder = NULL;
    assay_client *client = NULL;
    char error[512] = "";
    assay_code code = assay_builder_new(c_url, c_app, c_version, &builder);
    if (code == ASSAY_OK && name != NULL)
        code = assay_builder_build_label(builder, name);
    if (code == ASSAY_OK && folder != NULL)
        code = assay_builder_storage(builder, folder);
    if (code == ASSAY_OK && pem != NULL)
        code = assay_builder_trust_only(builder, (const uint8_t *)pem, pem_length);
    if (code == ASSAY_OK)
        code = set_strings(env, builder, facts, libraries);
    if (code == ASSAY_OK)
        code = set_callbacks(env, builder, kinds, app_evidence, answers, key);
    if (code == ASSAY_OK)
        code = assay_client_new(builder, &client, error, sizeof error);
    assay_builder_free(builder);
    free(c_url);
    free(c_app);
    free(c_version);
    free(name);
    free(folder);
    free(pem);
    if (code != ASSAY_OK)
        refuse(env, "INTERNAL_ERROR", error[0] != '\0' ? error : assay_code_name(code));
    return (jlong)(intptr_t)client;
}

NATIVE(void, close)(JNIEnv *env, jclass type, jlong client)
{
    (void)env, (void)type;
    assay_client_free((assay_client *)(intptr_t)client);
}

NATIVE(jlong, fetch)(JNIEnv *env, jclass type, jlong client, jobjectArray bound_to)
{
    (void)type;
    jsize count = (*env)->GetArrayLength(env, bound_to);
    assay_bytes *values = calloc((size_t)count + 1, sizeof *values);
    for (jsize at = 0; values != NULL && at < count; at++)
        values[at].data = (const uint8_t *)copy_at(env, bound_to, at, &values[at].length);
    /* Without memory the values are NULL, which the SDK tells. */
    assay_outcome *outcome = assay_fetch_token(client_of(client), values, (size_t)count);
    for (jsize at = 0; values != NULL && at < count; at++)
        free((void *)values[at].data);
    free(values);
    return (jlong)(intptr_t)outcome;
}

NATIVE(jint, prefetch)(JNIEnv *env, jclass type, jlong client)
{
    (void)env, (void)type;
    return assay_fetch_token_async(client_of(client), NULL, 0, NULL, NULL);
}

NATIVE(jlong, rotateDeviceKey)(JNIEnv *env, jclass type, jlong client)
{
    (void)env, (void)type;
    return (jlong)(intptr_t)assay_rotate_device_key(client_of(client));
}

NATIVE(jint, status)(JNIEnv *env, jclass type, jlong outcome)
{
    (void)env, (void)type;
    return assay_outcome_status(outcome_of(outcome));
}

NATIVE(jstring, statusName)(JNIEnv *env, jclass type, jint status)
{
    (void)type;
    return (*env)->NewStringUTF(env, assay_status_name(status));
}

NATIVE(jstring, token)(JNIEnv *env, jclass type, jlong outcome)
{
    (void)type;
    const char *text = assay_outcome_token(outcome_of(outcome));
    return text != NULL ? (*env)->NewStringUTF(env, text) : NULL;
}

NATIVE(jstring, error)(JNIEnv *env, jclass type, jlong outcome)
{
    (void)type;
    const char *text = assay_outcome_error(outcome_of(outcome));
    return text != NULL ? (*env)->NewStringUTF(env, text) : NULL;
}

NATIVE(void, free)(JNIEnv *env, jclass type, jlong outcome)
{
    (void)env, (void)type;
    assay_outcome_free(outcome_of(outcome));
}

NATIVE(jlong, react)(JNIEnv *env, jclass type, jlong client, jlong outcome, jint status, jbyteArray body, jbyteArray after)
{
    (void)type;
    size_t length;
    char *problem = copy(env, body, &length), *retry_after = copy(env, after, NULL);
    uint64_t wait_ms = 0;
    assay_reaction reaction = assay_react(client_of(client), outcome_of(outcome), status, (const uint8_t *)problem, length,
                                          retry_after, &wait_ms);
    free(problem);
    free(retry_after);
    return (jlong)(wait_ms << 8 | (uint64_t)(reaction & 0xff));
}

NATIVE(jint, invalidate)(JNIEnv *env, jclass type, jlong client, jlong outcome)
{
    (void)env, (void)type;
    return assay_invalidate(client_of(client), outcome_of(outcome));
}

NATIVE(jint, networkChanged)(JNIEnv *env, jclass type, jlong client)
{
    (void)env, (void)type;
    return assay_network_changed(client_of(client));
}

NATIVE(jbyteArray, sign)(JNIEnv *env, jclass type, jlong client, jbyteArray message)
{
    (void)type;
    uint8_t out[64];
    size_t length;
    char *said = copy(env, message, &length);
    assay_code code = assay_sign(client_of(client), (const uint8_t *)said, length, out);
    free(said);
    return code == ASSAY_OK ? assay_jni_bytes(env, out, sizeof out) : NULL;
}

static assay_request *request_of(jlong handle) { return (assay_request *)(intptr_t)handle; }

NATIVE(jint, completeEvidence)(JNIEnv *env, jclass type, jlong request, jbyteArray data)
{
    (void)type;
    size_t length;
    char *made = copy(env, data, &length);
    assay_code code = assay_evidence_complete(request_of(request), (const uint8_t *)made, length);
    free(made);
    return code;
}

NATIVE(jint, failEvidence)(JNIEnv *env, jclass type, jlong request, jbyteArray what)
{
    (void)type;
    char *said = copy(env, what, NULL);
    assay_code code = assay_evidence_fail(request_of(request), said);
    free(said);
    return code;
}

NATIVE(void, freeRequest)(JNIEnv *env, jclass type, jlong request)
{
    (void)env, (void)type;
    assay_request_free(request_of(request));
}
