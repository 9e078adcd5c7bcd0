import CAssay
import Foundation
import Security

/// Evidence that the app asks its platform for. `make` is called on a thread of the SDK and answers in its own time.
///
/// App Attest, in your app's own code:
///
///     AssayEvidence(kind: .appleAppAttest, isAvailable: { DCAppAttestService.shared.isSupported && !hasAttested }) { transcript in
///         let hash = Data(SHA256.hash(data: transcript))
///         return try await DCAppAttestService.shared.attestKey(keyId, clientDataHash: hash)
///     }
public final class AssayEvidence {
    public enum Kind: Int32, Sendable {
        case appleAppAttest = 1
        case appleAssertion = 2
    }

    private let kind: Kind
    private let isAvailable: @Sendable () -> Bool
    private let make: @Sendable (Data) async throws -> Data

    /// - Parameter make: from 32 bytes, the transcript that all evidence is made over, to the platform's object
    public init(
        kind: Kind, isAvailable: @escaping @Sendable () -> Bool = { true },
        make: @escaping @Sendable (Data) async throws -> Data
    ) {
        self.kind = kind
        self.isAvailable = isAvailable
        self.make = make
    }

    func add(to builder: OpaquePointer?) throws {
        let held = Unmanaged.passRetained(self)
        let code = assay_builder_evidence(
            builder, kind.rawValue,
            { user in
                Unmanaged<AssayEvidence>.fromOpaque(user!).takeUnretainedValue().isAvailable() ? 1 : 0
            },
            { user, request in
                Unmanaged<AssayEvidence>.fromOpaque(user!).takeUnretainedValue().answer(request!)
            },
            { user in Unmanaged<AssayEvidence>.fromOpaque(user!).release() },
            held.toOpaque())
        if code != ASSAY_OK {
            held.release()
            throw AssayError(code)
        }
    }

    private func answer(_ request: OpaquePointer) {
        let transcript = Data(bytes: assay_request_transcript(request)!, count: 32)
        let address = UInt(bitPattern: request)
        Task { [make] in
            let request = OpaquePointer(bitPattern: address)
            do {
                let made = try await make(transcript)
                _ = made.withUnsafeBytes { bytes in
                    assay_evidence_complete(request, bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count)
                }
            } catch {
                _ = assay_evidence_fail(request, String(describing: type(of: error)))
            }
            assay_request_free(request)
        }
    }
}

/// A P-256 key in the Secure Enclave, or any `SecKey` that can sign.
public final class AssayDeviceKey {
    private let key: SecKey

    public init(_ key: SecKey) {
        self.key = key
    }

    /// The key under this tag, made on first use. It never leaves the Secure Enclave.
    public static func secureEnclave(tag: String) throws -> AssayDeviceKey {
        let query: [CFString: Any] = [
            kSecClass: kSecClassKey,
            kSecAttrApplicationTag: Data(tag.utf8),
            kSecAttrKeyType: kSecAttrKeyTypeECSECPrimeRandom,
            kSecReturnRef: true,
        ]
        var found: CFTypeRef?
        if SecItemCopyMatching(query as CFDictionary, &found) == errSecSuccess, let found {
            return AssayDeviceKey(found as! SecKey)
        }
        var problem: Unmanaged<CFError>?
        guard
            let access = SecAccessControlCreateWithFlags(
                nil, kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly, .privateKeyUsage, &problem)
        else {
            throw problem!.takeRetainedValue() as Error
        }
        let attributes: [CFString: Any] = [
            kSecAttrKeyType: kSecAttrKeyTypeECSECPrimeRandom,
            kSecAttrKeySizeInBits: 256,
            kSecAttrTokenID: kSecAttrTokenIDSecureEnclave,
            kSecPrivateKeyAttrs: [
                kSecAttrIsPermanent: true,
                kSecAttrApplicationTag: Data(tag.utf8),
                kSecAttrAccessControl: access,
            ] as [CFString: Any],
        ]
        guard let made = SecKeyCreateRandomKey(attributes as CFDictionary, &problem) else {
            throw problem!.takeRetainedValue() as Error
        }
        return AssayDeviceKey(made)
    }

    func add(to builder: OpaquePointer?) throws {
        let held = Unmanaged.passRetained(self)
        let code = assay_builder_device_key(
            builder,
            { user, out, length in
                let key = Unmanaged<AssayDeviceKey>.fromOpaque(user!).takeUnretainedValue()
                return give(key.publicKey(), out, length)
            },
            { user, message, count, out, length in
                let key = Unmanaged<AssayDeviceKey>.fromOpaque(user!).takeUnretainedValue()
                return give(key.sign(Data(bytes: message!, count: count)), out, length)
            },
            { user in Unmanaged<AssayDeviceKey>.fromOpaque(user!).release() },
            held.toOpaque())
        if code != ASSAY_OK {
            held.release()
            throw AssayError(code)
        }
    }

    private func publicKey() -> Data? {
        SecKeyCopyPublicKey(key).flatMap { SecKeyCopyExternalRepresentation($0, nil) } as Data?
    }

    private func sign(_ message: Data) -> Data? {
        SecKeyCreateSignature(key, .ecdsaSignatureMessageX962SHA256, message as CFData, nil) as Data?
    }
}

/// Into the 128 bytes that assay.h promises; not 0 where there is nothing to give.
private func give(_ bytes: Data?, _ out: UnsafeMutablePointer<UInt8>?, _ length: UnsafeMutablePointer<Int>?) -> Int32 {
    guard let bytes, let out, let length, bytes.count <= 128 else { return -1 }
    bytes.copyBytes(to: out, count: bytes.count)
    length.pointee = bytes.count
    return 0
}
