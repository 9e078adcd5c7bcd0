/*
 * JNI glue between Native.java and assay.h, in two files: assay_jni.c has one function for each of Native's, callbacks.c
 * what the SDK calls. Neither has a state of its own.
 */
#ifndef ASSAY_JNI_GLUE_H
#define ASSAY_JNI_GLUE_H

#include <jni.h>

#include "assay.h"

/* The app's object behind a callback; for evidence also its kind and the Answers that make its answer. */
struct app;

/* NULL without memory. assay_jni_release gives it back. */
struct app *assay_jni_keep(JNIEnv *env, jobject object, jint kind, jobject answers);
void assay_jni_release(void *user);

int32_t assay_jni_public_key(void *user, uint8_t *out, size_t *length);
int32_t assay_jni_sign(void *user, const uint8_t *message, size_t length, uint8_t *out, size_t *out_length);
int32_t assay_jni_available(void *user);
void assay_jni_evidence(void *user, assay_request *request);

/* A byte[] of these; NULL, and a pending exception, without memory. */
jbyteArray assay_jni_bytes(JNIEnv *env, const uint8_t *from, size_t length);

#endif
