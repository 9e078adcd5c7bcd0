import CAssay
import Foundation

/// Why there is no token. `status` is the word for it; none tells whether the app is genuine.
public struct AssayError: Error, CustomStringConvertible {
    public let status: String
    public let description: String
}

/// A token in hand. The native copy is wiped when the last reference goes.
public final class AssayToken: @unchecked Sendable {
    fileprivate let outcome: OpaquePointer

    fileprivate init(_ outcome: OpaquePointer) {
        self.outcome = outcome
    }

    deinit {
        assay_outcome_free(outcome)
    }

    /// For the `Assay-Token` header. Never log it.
    public var text: String {
        assay_outcome_token(outcome).map { String(cString: $0) } ?? ""
    }

    /// `SUCCESS`, or why this is an older token: no new one could be had.
    public var status: String {
        String(cString: assay_status_name(assay_outcome_status(outcome)))
    }
}

/// What to do with a gateway's answer.
public enum AssayReaction: Equatable, Sendable {
    case deliver
    case retry
    case fetchAgain
    case wait(milliseconds: UInt64)
}

/// One client for the whole app, from any thread.
public final class AssayClient: @unchecked Sendable {
    private let client: OpaquePointer

    /// - Parameters:
    ///   - service: `https://attest.example.com/assay/v1`
    ///   - storage: a folder of the SDK's alone, for a device key in software; `nil` with `key`
    ///   - key: a key in the Secure Enclave
    ///   - evidence: what the platform vouches with
    public init(
        service: String, app: String, version: String, storage: URL? = nil, key: AssayDeviceKey? = nil,
        evidence: [AssayEvidence] = [], facts: [String: String] = [:]
    ) throws {
        guard assay_abi_version() == UInt32(ASSAY_ABI_VERSION) else {
            throw AssayError(status: "INTERNAL_ERROR", description: "libassay_sdk has another ABI")
        }
        var builder: OpaquePointer?
        try Self.check(assay_builder_new(service, app, version, &builder))
        defer { assay_builder_free(builder) }
        if let storage {
            try Self.check(assay_builder_storage(builder, storage.path))
        }
        for (name, value) in facts {
            try Self.check(assay_builder_device_fact(builder, name, value))
        }
        if let key {
            try key.add(to: builder)
        }
        for source in evidence {
            try source.add(to: builder)
        }
        var made: OpaquePointer?
        var sentence = [CChar](repeating: 0, count: 512)
        let code = assay_client_new(builder, &made, &sentence, sentence.count)
        guard code == ASSAY_OK, let made else {
            throw AssayError(status: String(cString: assay_code_name(code)), description: String(cString: sentence))
        }
        client = made
    }

    deinit {
        assay_client_free(client)
    }

    /// A token without waiting on this thread. `boundTo`: the values of the headers that the route binds, in its order.
    public func token(boundTo values: [String] = []) async throws -> AssayToken {
        let outcome: OpaquePointer = try await withCheckedThrowingContinuation { continuation in
            let box = Unmanaged.passRetained(Box(continuation))
            let code = Self.withBytes(values) { bytes, count in
                assay_fetch_token_async(client, bytes, count, { user, outcome in
                    let box = Unmanaged<Box>.fromOpaque(user!).takeRetainedValue()
                    box.continuation.resume(returning: outcome!)
                }, box.toOpaque())
            }
            if code != ASSAY_OK {
                box.release()
                continuation.resume(throwing: AssayError(code))
            }
        }
        return try Self.token(outcome)
    }

    /// So that a token is in hand when it is wanted: at the app's start.
    public func prefetch() {
        _ = assay_fetch_token_async(client, nil, 0, nil, nil)
    }

    /// What to do with an answer to a request that carried `token`; `body` for 401, 403 and 503 only.
    public func react(to status: Int, body: Data, retryAfter: String?, token: AssayToken) -> AssayReaction {
        var milliseconds: UInt64 = 0
        let reaction = body.withUnsafeBytes { bytes in
            assay_react(
                client, token.outcome, Int32(clamping: status), bytes.bindMemory(to: UInt8.self).baseAddress,
                bytes.count, retryAfter, &milliseconds)
        }
        switch reaction {
        case assay_reaction(ASSAY_REACTION_RETRY): return .retry
        case assay_reaction(ASSAY_REACTION_FETCH_AGAIN): return .fetchAgain
        case assay_reaction(ASSAY_REACTION_WAIT): return .wait(milliseconds: milliseconds)
        default: return .deliver
        }
    }

    /// After a user logged out: every token is forgotten. `false`: too often.
    public func invalidateAll() -> Bool {
        assay_invalidate(client, nil) == ASSAY_OK
    }

    /// From an `NWPathMonitor`.
    public func networkChanged() {
        _ = assay_network_changed(client)
    }

    /// r || s over a message of more than 32 bytes. Waits for the key.
    public func sign(_ message: Data) throws -> Data {
        var signature = [UInt8](repeating: 0, count: 64)
        try Self.check(message.withUnsafeBytes { bytes in
            assay_sign(client, bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count, &signature)
        })
        return Data(signature)
    }

    /// A new device key in storage; the old one vouches for it. Waits: call it off the main thread.
    public func rotateDeviceKey() throws -> AssayToken {
        try Self.token(assay_rotate_device_key(client))
    }

    private final class Box {
        let continuation: CheckedContinuation<OpaquePointer, Error>

        init(_ continuation: CheckedContinuation<OpaquePointer, Error>) {
            self.continuation = continuation
        }
    }

    private static func token(_ outcome: OpaquePointer) throws -> AssayToken {
        // Owns the outcome on every way out.
        let token = AssayToken(outcome)
        guard assay_outcome_token(outcome) != nil else {
            let sentence = assay_outcome_error(outcome).map { String(cString: $0) } ?? ""
            throw AssayError(status: token.status, description: sentence)
        }
        return token
    }

    /// The values as C wants them, for as long as `body` runs.
    private static func withBytes<Result>(
        _ values: [String], _ body: (UnsafePointer<assay_bytes>?, Int) -> Result
    ) -> Result {
        let all = values.map { Array($0.utf8) }
        let flat = all.flatMap { $0 }
        return flat.withUnsafeBufferPointer { buffer in
            var offset = 0
            let list = all.map { one -> assay_bytes in
                defer { offset += one.count }
                return assay_bytes(data: buffer.baseAddress.map { $0 + offset }, length: one.count)
            }
            return list.withUnsafeBufferPointer { body($0.baseAddress, $0.count) }
        }
    }

    static func check(_ code: assay_code) throws {
        if code != ASSAY_OK {
            throw AssayError(code)
        }
    }
}

extension AssayError {
    init(_ code: assay_code) {
        self.init(status: "INTERNAL_ERROR", description: String(cString: assay_code_name(code)))
    }
}
