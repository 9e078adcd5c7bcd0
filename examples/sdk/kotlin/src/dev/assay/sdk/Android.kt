package dev.assay.sdk

import java.security.KeyPairGenerator
import java.security.KeyStore
import java.security.PrivateKey
import java.security.Signature
import java.security.spec.AlgorithmParameterSpec
import java.util.Base64

/**
 * Play Integrity: `request` is your app's own code. It calls `IntegrityManager.requestIntegrityToken` with this nonce and
 * gives the token, or what went wrong, to one of the two functions:
 *
 *     PlayIntegrity { nonce, onToken, onFailure ->
 *         manager.requestIntegrityToken(IntegrityTokenRequest.builder().setNonce(nonce).build())
 *             .addOnSuccessListener { onToken(it.token()) }
 *             .addOnFailureListener(onFailure)
 *     }
 */
class PlayIntegrity(
    private val request: (nonce: String, onToken: (String) -> Unit, onFailure: (Exception) -> Unit) -> Unit
) : AppEvidence {
    override fun isAvailable(kind: Int): Boolean = kind == AppEvidence.PLAY_INTEGRITY

    override fun make(
        kind: Int,
        transcript: ByteArray,
        transcriptWithoutDeviceKey: ByteArray,
        answer: AppEvidence.Answer
    ) {
        val nonce = Base64.getUrlEncoder().withoutPadding().encodeToString(transcript)
        request(nonce, { answer.complete(it.toByteArray()) }, { answer.fail(it.javaClass.simpleName) })
    }
}

/**
 * A P-256 key that never leaves the phone's hardware. `spec`: your app's own `KeyGenParameterSpec` for this alias,
 *
 *     KeyGenParameterSpec.Builder(alias, PURPOSE_SIGN)
 *         .setAlgorithmParameterSpec(ECGenParameterSpec("secp256r1"))
 *         .setDigests(DIGEST_SHA256)
 *         .setIsStrongBoxBacked(hasStrongBox)
 *         .build()
 */
class KeystoreKey(
    private val alias: String,
    spec: AlgorithmParameterSpec,
    private val provider: String = "AndroidKeyStore"
) : DeviceKey {
    private val store = KeyStore.getInstance(provider).apply { load(null) }

    init {
        if (!store.containsAlias(alias)) {
            KeyPairGenerator.getInstance("EC", provider).apply { initialize(spec) }.generateKeyPair()
        }
    }

    override fun publicKey(): ByteArray = store.getCertificate(alias).publicKey.encoded

    override fun sign(message: ByteArray): ByteArray = Signature.getInstance("SHA256withECDSA").run {
        initSign(store.getKey(alias, null) as PrivateKey)
        update(message)
        sign()
    }
}
