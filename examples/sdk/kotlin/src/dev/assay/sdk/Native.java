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
            byte[] url, byte[] app, byte[] version, byte[] label, byte[] storage, byte[][] facts, byte[][] libraries,
            byte[] trustOnly, int[] evidenceKinds, AppEvidence evidence, Answers answers, DeviceKey key)
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

    static native int completeEvidence(long request, byte[] data);

    static native int failEvidence(long request, byte[] what);

    static native void freeRequest(long request);

    /** What the app answers to; called by the glue. */
    static final class Answers {
        AppEvidence.Answer answer(long request) {
            return new Answer(request);
        }
    }

    /** Owns one evidence request until it is answered. */
    private static final class Answer implements AppEvidence.Answer {
        private final java.util.concurrent.atomic.AtomicLong request;

        Answer(long request) {
            this.request = new java.util.concurrent.atomic.AtomicLong(request);
        }

        @Override
        public void complete(byte[] evidence) {
            long mine = request.getAndSet(0);
            if (mine != 0 && completeEvidence(mine, evidence) != 0) {
                failEvidence(mine, AssayClient.utf8("the evidence is null or over 32 KiB"));
            }
            freeRequest(mine);
        }

        @Override
        public void fail(String what) {
            long mine = request.getAndSet(0);
            failEvidence(mine, AssayClient.utf8(String.valueOf(what)));
            freeRequest(mine);
        }
    }
}
