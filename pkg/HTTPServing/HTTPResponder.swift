internal import CHTTPServer
public import EventLoops

/// The right to answer one request, once, on the loop's thread. Where the client has hung up meanwhile the answer is dropped.
/// One that is never used keeps its request until the client goes.
public final class HTTPResponder {
    private var token: OpaquePointer?
    public let requestID: String
    /// The loop that the request belongs to.
    public let loop: EventLoop
    private let method: String
    private let route: String
    private let startedAt: UInt64
    private let onResponse: HTTPServer.ResponseObserver
    /// Answers where a handler takes too long.
    var deadline: TimerID?

    init(
        _ token: OpaquePointer, requestID: String, method: String, route: String, loop: EventLoop,
        onResponse: @escaping HTTPServer.ResponseObserver
    ) {
        self.token = token
        self.requestID = requestID
        self.method = method
        self.route = route
        self.loop = loop
        self.onResponse = onResponse
        startedAt = EventLoop.monotonicNanoseconds()
    }

    /// Whether the request was answered.
    public var isAnswered: Bool { token == nil }

    /// Answers with the request id added. A second answer is ignored.
    public func answer(_ response: HTTPResponse) {
        response.body.withUnsafeBytes { send(response.status, response.headers, $0) }
    }

    public func answer(_ problem: HTTPProblem) { answer(problem.response) }

    /// Answers with `body`, which is copied, as it is.
    public func answer(status: Int, contentType: StaticString, _ body: UnsafeRawBufferPointer) {
        guard let token = take(status) else { return }
        var requestID = requestID
        requestID.withUTF8 { requestID in
            withUnsafeTemporaryAllocation(of: chttp_header.self, capacity: 2) { headers in
                headers[0] = chttp_header(name: Self.contentTypeName.text, value: contentType.text)
                headers[1] = chttp_header(
                    name: Self.requestIDName.text, value: UnsafeRawBufferPointer(requestID).text)
                send(token, status, UnsafeBufferPointer(headers), body)
            }
        }
    }

    private func send(
        _ status: Int, _ headers: some Collection<(name: String, value: String)>, _ body: UnsafeRawBufferPointer
    ) {
        guard let token = take(status) else { return }
        var packed = PackedHeaders()
        for header in headers { packed.append(header.name, header.value) }
        packed.append("\(Self.requestIDName)", requestID)
        packed.withHeaders { send(token, status, $0, body) }
    }

    /// The request, to be answered now; nil where it was before.
    private func take(_ status: Int) -> OpaquePointer? {
        guard let token else { return nil }
        self.token = nil
        if let deadline { loop.cancel(deadline) }
        onResponse(method, route, status, EventLoop.monotonicNanoseconds() - startedAt)
        return token
    }

    private func send(
        _ token: OpaquePointer, _ status: Int, _ headers: UnsafeBufferPointer<chttp_header>,
        _ body: UnsafeRawBufferPointer
    ) {
        chttp_answer(
            token, Int32(status), reasonPhrase(status).constantText, headers.baseAddress, headers.count, body.text)
    }

    private static let contentTypeName: StaticString = "content-type"
    private static let requestIDName: StaticString = "x-request-id"
}

extension UnsafeRawBufferPointer {
    fileprivate var text: chttp_text {
        chttp_text(bytes: assumingMemoryBound(to: CChar.self).baseAddress, count: count)
    }
}

extension StaticString {
    /// The text of a literal, which ends with a NUL and lives for ever.
    fileprivate var constantText: UnsafePointer<CChar> {
        UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self)
    }

    fileprivate var text: chttp_text { chttp_text(bytes: constantText, count: utf8CodeUnitCount) }
}

/// Header names and values in one buffer, for the length of a call.
private struct PackedHeaders {
    private var bytes: [UInt8] = []
    private var lengths: [(name: Int, value: Int)] = []

    init() {
        bytes.reserveCapacity(128)
        lengths.reserveCapacity(4)
    }

    /// A name or value that would end its line is left out.
    mutating func append(_ name: String, _ value: String) {
        guard !Self.breaksLine(name), !Self.breaksLine(value) else { return }
        bytes.append(contentsOf: name.utf8)
        bytes.append(contentsOf: value.utf8)
        lengths.append((name.utf8.count, value.utf8.count))
    }

    private static func breaksLine(_ text: String) -> Bool {
        text.utf8.contains { $0 == 0 || $0 == 10 || $0 == 13 }
    }

    func withHeaders(_ body: (UnsafeBufferPointer<chttp_header>) -> Void) {
        bytes.withUnsafeBytes { bytes in
            withUnsafeTemporaryAllocation(of: chttp_header.self, capacity: lengths.count) { headers in
                var next = bytes.assumingMemoryBound(to: CChar.self).baseAddress
                for (index, length) in lengths.enumerated() {
                    let value = next.map { $0 + length.name }
                    headers[index] = chttp_header(
                        name: chttp_text(bytes: next, count: length.name),
                        value: chttp_text(bytes: value, count: length.value))
                    next = value.map { $0 + length.value }
                }
                body(UnsafeBufferPointer(headers))
            }
        }
    }
}
