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
        guard let token else { return }
        self.token = nil
        onResponse(method, route, response.status, EventLoop.monotonicNanoseconds() - startedAt)
        var packed = PackedHeaders()
        for header in response.headers { packed.append(header.name, header.value) }
        packed.append("x-request-id", requestID)
        packed.withHeaders { headers in
            response.body.withUnsafeBytes { body in
                chttp_answer(
                    token, Int32(response.status), reasonPhrase(response.status), headers.baseAddress, headers.count,
                    chttp_text(bytes: body.assumingMemoryBound(to: CChar.self).baseAddress, count: body.count), 0)
            }
        }
    }

    public func answer(_ problem: HTTPProblem) { answer(problem.response) }
}

/// Header names and values in one buffer, for the length of a call.
private struct PackedHeaders {
    private var bytes: [CChar] = []
    private var lengths: [(name: Int, value: Int)] = []

    /// A name or value that would end its line is left out.
    mutating func append(_ name: String, _ value: String) {
        guard !name.utf8.contains(where: Self.breaksLine), !value.utf8.contains(where: Self.breaksLine) else { return }
        bytes.append(contentsOf: name.utf8.lazy.map { CChar(bitPattern: $0) })
        bytes.append(contentsOf: value.utf8.lazy.map { CChar(bitPattern: $0) })
        lengths.append((name.utf8.count, value.utf8.count))
    }

    private static func breaksLine(_ byte: UInt8) -> Bool { byte == 0 || byte == 10 || byte == 13 }

    func withHeaders(_ body: (UnsafeBufferPointer<chttp_header>) -> Void) {
        bytes.withUnsafeBufferPointer { bytes in
            withUnsafeTemporaryAllocation(of: chttp_header.self, capacity: lengths.count) { headers in
                var next = bytes.baseAddress
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
