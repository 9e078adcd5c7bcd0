package dev.assay.sdk;

/**
 * The doors of libassay_jni: one for each function of assay.h that an app needs. Handles are numbers; 0 is none. Text is
 * UTF-8 bytes, because what JNI calls UTF-8 is not.
 */
final class Native {
    static {
        System.loadLibrary("assay_jni"); // brings libassay_sdk.so along
    }

    private Native() {}

    /** The client's handle. Keeps {@code app} until the client's callbacks are over. */
    static native long open(
            byte[] url, byte[] app, byte[] version, byte[] storage, byte[][] facts, byte[][] libraries, byte[] trustOnly,
            int[] evidenceKinds, AppEvidence evidence, DeviceKey key)
            throws AssayException;

    static native void close(long client);

    /** Waits. Never 0. */
    static native long fetch(long client, byte[][] boundTo);

    /** Starts a fetch whose outcome nobody waits for. */
    static native int prefetch(long client);

    /** Waits. Never 0. */
    static native long rotateDeviceKey(long client);

    static native int status(long outcome);

    static native String statusName(int status);

    /** {@code null} when there is none. */
    static native String token(long outcome);

    /** {@code null} when all is well. */
    static native String error(long outcome);

    static native void free(long outcome);

    /** The reaction in the low 8 bits, the wait in milliseconds above them. */
    static native long react(long client, long outcome, int status, byte[] body, byte[] retryAfter);

    /** {@code outcome} 0: every token. */
    static native int invalidate(long client, long outcome);

    static native int networkChanged(long client);

    /** {@code null} when the key failed. */
    static native byte[] sign(long client, byte[] message);

    static native int completeEvidence(long client, long request, byte[] data);

    static native int failEvidence(long client, long request, byte[] what);
}
