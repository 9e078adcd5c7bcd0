package dev.assay.sdk;

/** A P-256 key that the app holds, in Android Keystore for one. Called on threads of the SDK, several at once. */
public interface DeviceKey {
    /** {@code PublicKey.getEncoded()}; the same at every call. */
    byte[] publicKey() throws Exception;

    /** {@code SHA256withECDSA} over {@code message}, as {@code Signature.sign()} gives it. */
    byte[] sign(byte[] message) throws Exception;
}
