internal import HTTPServing

extension Reception {
    /// For a program: one line.
    var json: String {
        var line = Line(
            number: number, received_at_ms: receivedAtMs, method: request.method, path: request.path,
            query: request.query, headers: request.headers.map { [$0.name, $0.value] }, verified: nil, reason: nil,
            answered: status, body: String(decoding: request.body, as: UTF8.self))
        switch signature {
        case .verified: line.verified = true
        case .refused(let reason):
            line.verified = false
            line.reason = reason
        case .unchecked: break
        }
        return jsonText(line)
    }

    /// `verified` is absent where there was no secret to verify with.
    private struct Line: Encodable {
        var number: Int
        var received_at_ms: Int64
        var method: String
        var path: String
        var query: String?
        /// Pairs, for names may repeat.
        var headers: [[String]]
        var verified: Bool?
        var reason: String?
        var answered: Int
        var body: String
    }
}
