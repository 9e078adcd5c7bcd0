package dev.assay.sdk;

/** Platform evidence that the app asks for. Called on threads of the SDK. */
public interface AppEvidence {
    int APPLE_APP_ATTEST = 1;
    int APPLE_ASSERTION = 2;
    int PLAY_INTEGRITY = 3;
    int ANDROID_KEY = 4;

    /** Whether it can be had now. */
    boolean isAvailable(int kind);

    /**
     * Make evidence over 32 bytes, and answer now or later, on any thread: {@code transcript} is the nonce or request hash
     * of Play Integrity (as base64url without padding), {@code transcriptWithoutDeviceKey} the attestation challenge of an
     * Android key that does not exist yet.
     */
    void make(int kind, byte[] transcript, byte[] transcriptWithoutDeviceKey, Answer answer);

    /** Takes one answer; what comes after it is not heard. */
    interface Answer {
        void complete(byte[] evidence);

        void fail(String what);
    }
}
