import Foundation

/// A `URLSession` whose requests to your gateway carry a fresh token, and that follows its answers: after a 401 that wants a
/// token the request is sent once more with a new one; after a 429 or 503 that asks for a short wait, once more after it;
/// everything else is the app's.
///
///     let session = AssaySession(assay, hosts: ["api.example.com"], bindTo: ["Authorization"])
///     let (data, response) = try await session.data(for: request)
public final class AssaySession: Sendable {
    private let assay: AssayClient
    private let hosts: Set<String>
    private let bindTo: [String]
    private let header: String
    private let session: URLSession

    /// - Parameters:
    ///   - hosts: where tokens go, over https only; no other host sees one
    ///   - bindTo: the headers that the route binds tokens to, in its order
    public init(
        _ assay: AssayClient, hosts: Set<String>, bindTo: [String] = [], header: String = "Assay-Token",
        session: URLSession = .shared
    ) {
        self.assay = assay
        self.hosts = hosts
        self.bindTo = bindTo
        self.header = header
        self.session = session
    }

    /// As `URLSession.data(for:)`. Redirects are not followed where a token was sent: it would go along.
    public func data(for request: URLRequest) async throws -> (Data, URLResponse) {
        guard request.url?.scheme == "https", let host = request.url?.host, hosts.contains(host) else {
            return try await session.data(for: request)
        }
        let (answer, reaction, asksToWait) = try await attempt(request)
        switch reaction {
        case .retry where isRepeatable(request):
            break
        case .wait(let milliseconds) where asksToWait && milliseconds <= Self.longestWait && isRepeatable(request):
            try await Task.sleep(nanoseconds: milliseconds * 1_000_000)
        default:
            return answer
        }
        return try await attempt(request).answer
    }

    private func attempt(
        _ request: URLRequest
    ) async throws -> (answer: (Data, URLResponse), reaction: AssayReaction, asksToWait: Bool) {
        let token = try await assay.token(boundTo: binding(of: request))
        var stamped = request
        stamped.setValue(token.text, forHTTPHeaderField: header)
        let answer = try await session.data(for: stamped, delegate: NoRedirects.shared)
        guard let response = answer.1 as? HTTPURLResponse else {
            return (answer, .deliver, false)
        }
        let retryAfter = response.value(forHTTPHeaderField: "Retry-After")
        let problem = [401, 403, 503].contains(response.statusCode) ? answer.0 : Data()
        let reaction = assay.react(to: response.statusCode, body: problem, retryAfter: retryAfter, token: token)
        return (answer, reaction, retryAfter != nil)
    }

    /// A stream can be read once.
    private func isRepeatable(_ request: URLRequest) -> Bool {
        request.httpBodyStream == nil
    }

    /// The bound headers' values; none where one is absent: the gateway refuses such a request anyway.
    private func binding(of request: URLRequest) -> [String] {
        let values = bindTo.compactMap { request.value(forHTTPHeaderField: $0) }
        return values.count == bindTo.count ? values : []
    }

    private static let longestWait: UInt64 = 4_000
}

private final class NoRedirects: NSObject, URLSessionTaskDelegate, Sendable {
    static let shared = NoRedirects()

    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping (URLRequest?) -> Void
    ) {
        completionHandler(nil)
    }
}
