/*
 * JNI glue between Native.java and assay.h. One function for each of Native's; no state of its own.
 *
 * Bytes come in as copies, so that no Java array stays pinned. Callbacks attach the SDK's thread to the VM for their
 * own length, and leave no exception behind: what the app threw becomes "the callback failed".
 */
#include <jni.h>
#include <stdlib.h>
#include <string.h>

#include "assay.h"

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

/* ---- What the SDK calls ---- */

/* The app's object behind a callback; for evidence also its kind and the client it answers to. */
struct app {
    JavaVM *vm;
    jobject object;
    jint kind;
    jobject bridge;
};

/* This thread's env; *attached says that it has to be detached again. */
static JNIEnv *attach(JavaVM *vm, int *attached)
{
    JNIEnv *env = NULL;
    *attached = 0;
    if ((*vm)->GetEnv(vm, (void **)&env, JNI_VERSION_1_6) == JNI_OK)
        return env;
#ifdef __ANDROID__
    if ((*vm)->AttachCurrentThreadAsDaemon(vm, &env, NULL) != JNI_OK)
#else
    if ((*vm)->AttachCurrentThreadAsDaemon(vm, (void **)&env, NULL) != JNI_OK)
#endif
        return NULL;
    *attached = 1;
    return env;
}

/* Ends a callback; 0 where the app threw. */
static int detach(struct app *app, JNIEnv *env, int attached)
{
    int fine = !(*env)->ExceptionCheck(env);
    if (!fine)
        (*env)->ExceptionClear(env);
    if (attached)
        (*app->vm)->DetachCurrentThread(app->vm);
    return fine;
}

static struct app *keep(JNIEnv *env, jobject object, jint kind, jobject bridge)
{
    struct app *app = calloc(1, sizeof *app);
    if (app == NULL || (*env)->GetJavaVM(env, &app->vm) != JNI_OK) {
        free(app);
        return NULL;
    }
    app->object = (*env)->NewGlobalRef(env, object);
    app->bridge = bridge ? (*env)->NewGlobalRef(env, bridge) : NULL;
    app->kind = kind;
    return app;
}

static void release(void *user)
{
    struct app *app = user;
    int attached;
    JNIEnv *env = attach(app->vm, &attached);
    if (env != NULL) {
        (*env)->DeleteGlobalRef(env, app->object);
        if (app->bridge != NULL)
            (*env)->DeleteGlobalRef(env, app->bridge);
        detach(app, env, attached);
    }
    free(app);
}

static jmethodID method(JNIEnv *env, jobject object, const char *name, const char *signature)
{
    jclass type = (*env)->GetObjectClass(env, object);
    jmethodID found = (*env)->GetMethodID(env, type, name, signature);
    (*env)->DeleteLocalRef(env, type);
    return found;
}

static jbyteArray bytes(JNIEnv *env, const uint8_t *from, size_t length)
{
    jbyteArray made = (*env)->NewByteArray(env, (jsize)length);
    if (made != NULL)
        (*env)->SetByteArrayRegion(env, made, 0, (jsize)length, (const jbyte *)from);
    return made;
}

/* The byte[] that the app gave, into the 128 bytes that assay.h promises. */
static int give(JNIEnv *env, jbyteArray given, uint8_t *out, size_t *length)
{
    if (given == NULL || (*env)->ExceptionCheck(env))
        return -1;
    jsize size = (*env)->GetArrayLength(env, given);
    if (size > 128)
        return -1;
    (*env)->GetByteArrayRegion(env, given, 0, size, (jbyte *)out);
    *length = (size_t)size;
    return 0;
}

static int32_t public_key(void *user, uint8_t *out, size_t *length)
{
    struct app *app = user;
    int attached, result = -1;
    JNIEnv *env = attach(app->vm, &attached);
    if (env == NULL)
        return -1;
    jmethodID ask = method(env, app->object, "publicKey", "()[B");
    if (ask != NULL) {
        jbyteArray given = (jbyteArray)(*env)->CallObjectMethod(env, app->object, ask);
        result = give(env, given, out, length);
        if (given != NULL && !attached)
            (*env)->DeleteLocalRef(env, given);
    }
    return detach(app, env, attached) ? result : -1;
}

static int32_t sign(void *user, const uint8_t *message, size_t length, uint8_t *out, size_t *out_length)
{
    struct app *app = user;
    int attached, result = -1;
    JNIEnv *env = attach(app->vm, &attached);
    if (env == NULL)
        return -1;
    jmethodID ask = method(env, app->object, "sign", "([B)[B");
    jbyteArray said = ask ? bytes(env, message, length) : NULL;
    if (said != NULL) {
        jbyteArray given = (jbyteArray)(*env)->CallObjectMethod(env, app->object, ask, said);
        result = give(env, given, out, out_length);
    }
    return detach(app, env, attached) ? result : -1;
}

static int32_t available(void *user)
{
    struct app *app = user;
    int attached;
    jboolean there = JNI_FALSE;
    JNIEnv *env = attach(app->vm, &attached);
    if (env == NULL)
        return 0;
    jmethodID ask = method(env, app->object, "isAvailable", "(I)Z");
    if (ask != NULL)
        there = (*env)->CallBooleanMethod(env, app->object, ask, app->kind);
    return detach(app, env, attached) && there;
}

/* EvidenceBridge.make gives the app an answer that comes back through completeEvidence or failEvidence. */
static void evidence(void *user, uint64_t request, const uint8_t *transcript, const uint8_t *without)
{
    struct app *app = user;
    int attached;
    JNIEnv *env = attach(app->vm, &attached);
    if (env == NULL)
        return;
    jmethodID make = method(env, app->bridge, "make", "(Ldev/assay/sdk/AppEvidence;IJ[B[B)V");
    jbyteArray with = make ? bytes(env, transcript, 32) : NULL;
    jbyteArray bare = with ? bytes(env, without, 32) : NULL;
    if (bare != NULL)
        (*env)->CallVoidMethod(env, app->bridge, make, app->object, app->kind, (jlong)request, with, bare);
    detach(app, env, attached);
}

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

static assay_code set_callbacks(JNIEnv *env, assay_builder *builder, jintArray kinds, jobject app, jobject bridge, jobject key)
{
    assay_code code = ASSAY_OK;
    if (key != NULL) {
        struct app *kept = keep(env, key, 0, NULL);
        if (kept == NULL)
            return ASSAY_KEY_FAILED;
        code = assay_builder_device_key(builder, public_key, sign, release, kept);
        if (code != ASSAY_OK)
            release(kept);
    }
    jsize count = app != NULL ? (*env)->GetArrayLength(env, kinds) : 0;
    for (jsize at = 0; code == ASSAY_OK && at < count; at++) {
        jint kind;
        (*env)->GetIntArrayRegion(env, kinds, at, 1, &kind);
        struct app *kept = keep(env, app, kind, bridge);
        if (kept == NULL)
            return ASSAY_BAD_VALUE;
        code = assay_builder_evidence(builder, kind, available, evidence, release, kept);
        if (code != ASSAY_OK)
            release(kept);
    }
    return code;
}

NATIVE(jlong, open)(JNIEnv *env, jclass type, jbyteArray url, jbyteArray app, jbyteArray version, jbyteArray storage,
                    jobjectArray facts, jobjectArray libraries, jbyteArray trust_only, jintArray kinds,
                    jobject app_evidence, jobject bridge, jobject key)
{
    (void)type;
    if (assay_abi_version() != ASSAY_ABI_VERSION) {
        refuse(env, "INTERNAL_ERROR", "libassay_sdk has another ABI than libassay_jni");
        return 0;
    }
    size_t pem_length;
    char *c_url = copy(env, url, NULL), *c_app = copy(env, app, NULL), *c_version = copy(env, version, NULL);
    char *folder = copy(env, storage, NULL), *pem = copy(env, trust_only, &pem_length);
    assay_builder *builder = NULL;
    assay_client *client = NULL;
    char error[512] = "";
    assay_code code = assay_builder_new(c_url, c_app, c_version, &builder);
    if (code == ASSAY_OK && folder != NULL)
        code = assay_builder_storage(builder, folder);
    if (code == ASSAY_OK && pem != NULL)
        code = assay_builder_trust_only(builder, (const uint8_t *)pem, pem_length);
    if (code == ASSAY_OK)
        code = set_strings(env, builder, facts, libraries);
    if (code == ASSAY_OK)
        code = set_callbacks(env, builder, kinds, app_evidence, bridge, key);
    if (code == ASSAY_OK)
        code = assay_client_new(builder, &client, error, sizeof error);
    assay_builder_free(builder);
    free(c_url);
    free(c_app);
    free(c_version);
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
    return code == ASSAY_OK ? bytes(env, out, sizeof out) : NULL;
}

NATIVE(jint, completeEvidence)(JNIEnv *env, jclass type, jlong client, jlong request, jbyteArray data)
{
    (void)type;
    size_t length;
    char *made = copy(env, data, &length);
    assay_code code = assay_evidence_complete(client_of(client), (uint64_t)request, (const uint8_t *)made, length);
    free(made);
    return code;
}

NATIVE(jint, failEvidence)(JNIEnv *env, jclass type, jlong client, jlong request, jbyteArray what)
{
    (void)type;
    char *said = copy(env, what, NULL);
    assay_code code = assay_evidence_fail(client_of(client), (uint64_t)request, said);
    free(said);
    return code;
}
