internal import CLinux
internal import HTTPServing
internal import StandardWebhooks
internal import Synchronization

/// A request as it arrived at the local receiver, what its signature is worth, and what it was answered with.
struct Reception: Sendable {
    enum Signature: Sendable, Equatable {
        case verified
        /// Why not.
        case refused(String)
        /// There is no secret to verify with.
        case unchecked
    }

    /// From 1.
    var number: Int
    /// Milliseconds since 1970.
    var receivedAtMs: Int64
    var request: HTTPRequest
    var signature: Signature
    var status: Int
}

/// Answers webhooks as a test wants them answered, and hands out what arrived. Usable from any thread.
final class ListenReceiver: Sendable {
    private let verifier: WebhookVerifier?
    private let answer: @Sendable (HTTPRequest, Int) -> Int
    private let delayMilliseconds: Int
    private let arrived: @Sendable (Reception) -> Void
    private let count = Atomic<Int>(0)

    /// - Parameters:
    ///   - answer: the status for a request and its number, from 1; called from several threads.
    ///   - arrived: called before the answer is given, once for each request, from several threads.
    init(
        verifier: WebhookVerifier? = nil, delayMilliseconds: Int = 0,
        answer: @escaping @Sendable (HTTPRequest, Int) -> Int, arrived: @escaping @Sendable (Reception) -> Void
    ) {
        self.verifier = verifier
        self.delayMilliseconds = delayMilliseconds
        self.answer = answer
        self.arrived = arrived
    }

    /// Throws `WebhookKeyError` for a secret that is none.
    convenience init(_ options: ListenOptions, arrived: @escaping @Sendable (Reception) -> Void)
        throws(WebhookKeyError)
    {
        let verifier = options.secrets.isEmpty ? nil : try WebhookVerifier(keys: options.secrets)
        let (failFirst, status) = (options.failFirst, options.status)
        self.init(
            verifier: verifier, delayMilliseconds: options.delayMilliseconds,
            answer: { _, number in number <= failFirst ? 500 : status }, arrived: arrived)
    }

    func handle(_ request: HTTPRequest) async -> HTTPResponse {
        let number = count.add(1, ordering: .relaxed).newValue
        let now = clinux_realtime_ms()
        let status = answer(request, number)
        arrived(
            Reception(
                number: number, receivedAtMs: now, request: request, signature: signature(of: request, now),
                status: status))
        if delayMilliseconds > 0 { try? await Task.sleep(for: .milliseconds(delayMilliseconds)) }
        return HTTPResponse(status: status)
    }

    private func signature(of request: HTTPRequest, _ nowMs: Int64) -> Reception.Signature {
        guard let verifier else { return .unchecked }
        do {
            try verifier.verify(headers: request.headers, body: request.body, nowSeconds: nowMs / 1_000)
            return .verified
        } catch {
            return .refused(error.description)
        }
    }
}
