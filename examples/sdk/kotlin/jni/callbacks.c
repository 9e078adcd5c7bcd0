/*
 * What the SDK calls. Comes in: a thread of the SDK. Goes out: what the app's Java object said.
 * The thread is attached to the VM for the length of one callback, and no exception is left behind: what the app threw
 * becomes "the callback failed".
 */
#include <stdlib.h>

#include "glue.h"

struct app {
    JavaVM *vm;
    jobject object;
    jint kind;
    jobject answers;
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

struct app *assay_jni_keep(JNIEnv *env, jobject object, jint kind, jobject answers)
{
    struct app *app = calloc(1, sizeof *app);
    if (app == NULL || (*env)->GetJavaVM(env, &app->vm) != JNI_OK) {
        free(app);
        return NULL;
    }
    app->object = (*env)->NewGlobalRef(env, object);
    app->answers = answers ? (*env)->NewGlobalRef(env, answers) : NULL;
    app->kind = kind;
    return app;
}

void assay_jni_release(void *user)
{
    struct app *app = user;
    int attached;
    JNIEnv *env = attach(app->vm, &attached);
    if (env != NULL) {
        (*env)->DeleteGlobalRef(env, app->object);
        if (app->answers != NULL)
            (*env)->DeleteGlobalRef(env, app->answers);
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

jbyteArray assay_jni_bytes(JNIEnv *env, const uint8_t *from, size_t length)
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

int32_t assay_jni_public_key(void *user, uint8_t *out, size_t *length)
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

int32_t assay_jni_sign(void *user, const uint8_t *message, size_t length, uint8_t *out, size_t *out_length)
{
    struct app *app = user;
    int attached, result = -1;
    JNIEnv *env = attach(app->vm, &attached);
    if (env == NULL)
        return -1;
    jmethodID ask = method(env, app->object, "sign", "([B)[B");
    jbyteArray said = ask ? assay_jni_bytes(env, message, length) : NULL;
    if (said != NULL) {
        jbyteArray given = (jbyteArray)(*env)->CallObjectMethod(env, app->object, ask, said);
        result = give(env, given, out, out_length);
    }
    return detach(app, env, attached) ? result : -1;
}

int32_t assay_jni_available(void *user)
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

/* The app gets a taker of its answer, which comes back through completeEvidence or failEvidence and owns the request. */
void assay_jni_evidence(void *user, assay_request *request)
{
    struct app *app = user;
    int attached;
    JNIEnv *env = attach(app->vm, &attached);
    if (env == NULL) {
        assay_request_free(request);
        return;
    }
    jmethodID make = method(env, app->object, "make", "(I[B[BLdev/assay/sdk/AppEvidence$Answer;)V");
    jmethodID answer = make ? method(env, app->answers, "answer", "(J)Ldev/assay/sdk/AppEvidence$Answer;") : NULL;
    jbyteArray with = answer ? assay_jni_bytes(env, assay_request_transcript(request), 32) : NULL;
    jbyteArray bare = with ? assay_jni_bytes(env, assay_request_transcript_without_device_key(request), 32) : NULL;
    jobject taker = bare ? (*env)->CallObjectMethod(env, app->answers, answer, (jlong)(intptr_t)request) : NULL;
    if (taker != NULL && !(*env)->ExceptionCheck(env))
        (*env)->CallVoidMethod(env, app->object, make, app->kind, with, bare, taker);
    else
        assay_request_free(request);
    if (taker != NULL && (*env)->ExceptionCheck(env)) {
        (*env)->ExceptionClear(env);
        jmethodID fail = method(env, taker, "fail", "(Ljava/lang/String;)V");
        if (fail != NULL) /* where the app had answered already, this is not heard */
            (*env)->CallVoidMethod(env, taker, fail, (*env)->NewStringUTF(env, "the app threw"));
    }
    detach(app, env, attached);
}
