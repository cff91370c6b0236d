internal import HTTPSending
internal import HTTPServing
internal import JSONScanning
internal import ServiceSupport
internal import Settings

/// What observability knows, asked for in a tenant's name.
struct HistoryCalls: Sendable {
    private static let timeoutMs = 8_000

    private let client: HTTPClient
    private let base: String
    private let authorization: String

    /// Throws where the process has no descriptors left.
    init(_ configuration: Configuration) throws {
        client = try HTTPClient()
        base = "http://\(configuration.gateway.observability)"
        authorization = "Bearer \(configuration.internalCalls.token)"
    }

    /// Its answer: status, body and `Retry-After` as they are.
    /// - Parameters:
    ///   - segments: of the path below `/internal/v1`, not encoded.
    ///   - query: not encoded.
    func ask(
        _ segments: [String], tenant: String, query: [String: String] = [:], requestID: String
    ) async throws -> HTTPResponse {
        let result = try await send(.get, segments, tenant: tenant, query: query, requestID: requestID)
        switch result.status {
        case 200, 404, 422: return Self.response(result)
        default: throw HistoryRefusal(status: result.status)
        }
    }

    /// What it answers with 200. Throws `HTTPProblem` where there is no such thing, or it is not in a state for this.
    func call(
        _ method: HTTPSendMethod, _ segments: [String], tenant: String, query: [String: String] = [:],
        body: JSONWriter? = nil, requestID: String
    ) async throws -> JSONValue {
        let result = try await send(method, segments, tenant: tenant, query: query, body: body, requestID: requestID)
        let answer = try? JSONValue(parsing: result.body)
        switch result.status {
        case 200:
            guard let answer else { throw HistoryRefusal(status: 200) }
            return answer
        case 404, 409:
            guard let code = answer?["code"]?.text, let detail = answer?["detail"]?.text else {
                throw HistoryRefusal(status: result.status)
            }
            throw HTTPProblem(status: result.status, code: code, detail: detail)
        default: throw HistoryRefusal(status: result.status)
        }
    }

    private func send(
        _ method: HTTPSendMethod, _ segments: [String], tenant: String, query: [String: String],
        body: JSONWriter? = nil, requestID: String
    ) async throws -> HTTPSendResult {
        let pairs = [("tenant", tenant)] + query.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        let url =
            base + "/internal/v1/" + segments.map(percentEncoded).joined(separator: "/") + "?"
            + pairs.map { "\($0.0)=\(percentEncoded($0.1))" }.joined(separator: "&")
        var headers = HeaderLines()
        headers.append("authorization", authorization)
        headers.append("x-request-id", requestID)
        if body != nil { headers.append("content-type", "application/json") }
        let result = await client.send(
            method, to: try Endpoint(url), headers: headers, body: body?.bytes ?? [],
            timeoutMilliseconds: Self.timeoutMs, connectTimeoutMilliseconds: 2_000)
        if result.failure != nil || (502...504).contains(result.status) {
            throw HTTPProblem.unavailable("History cannot be asked at the moment; try again.", retryAfter: 2)
        }
        return result
    }

    private static func response(_ result: HTTPSendResult) -> HTTPResponse {
        var response = HTTPResponse(status: result.status, body: result.body)
        response.headers.append(("content-type", result.header("content-type") ?? "application/json"))
        if let seconds = result.header("retry-after") { response.headers.append(("retry-after", seconds)) }
        return response
    }

    var readiness: Readiness.State {
        get async {
            guard let endpoint = try? Endpoint(base + "/health") else { return .unavailable("its address is no URL") }
            let result = await client.send(.get, to: endpoint, timeoutMilliseconds: 1_500)
            if result.failure != nil { return .unavailable(result.message) }
            return result.status == 200 ? .ready : .unavailable("it answers \(result.status)")
        }
    }
}

/// Observability answered what this gateway's requests should never be answered: the internal token differs, or a bug.
struct HistoryRefusal: Error, CustomStringConvertible {
    let status: Int
    var description: String { "observability answered \(status)" }
}

/// Everything but RFC 3986's unreserved characters as `%41`.
func percentEncoded(_ text: String) -> String {
    var encoded = ""
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            encoded.unicodeScalars.append(Unicode.Scalar(byte))
        default:
            let digits = String(byte, radix: 16, uppercase: true)
            encoded += digits.utf8.count == 1 ? "%0" + digits : "%" + digits
        }
    }
    return encoded
}
