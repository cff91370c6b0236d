/// An error as RFC 9457 has it, with a stable `code` for programs and, where one is to blame, the `field`.
public struct HTTPProblem: Error, Equatable, Sendable {
    public var status: Int
    /// Snake case, stable.
    public var code: String
    /// What happened and what to do, for people.
    public var detail: String
    /// The offending field: a JSON path such as `headers.X-A`, a query parameter or a header.
    public var field: String?
    /// Seconds after which to try again.
    public var retryAfter: Int?
    /// More headers of the answer, such as `WWW-Authenticate`.
    public var headers: [String: String] = [:]

    public init(status: Int, code: String, detail: String, field: String? = nil, retryAfter: Int? = nil) {
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.retryAfter = retryAfter
    }

    public var response: HTTPResponse {
        var headers = [(name: "content-type", value: "application/problem+json")]
        if let retryAfter { headers.append(("retry-after", String(retryAfter))) }
        for (name, value) in self.headers.sorted(by: { $0.key < $1.key }) { headers.append((name, value)) }
        return HTTPResponse(status: status, headers: headers, body: body)
    }

    private var body: [UInt8] {
        var text = "{\"type\":\"about:blank\",\"title\":\(quoted("\(reasonPhrase(status))")),\"status\":\(status)"
        text += ",\"code\":\(quoted(code)),\"detail\":\(quoted(detail))"
        if let field { text += ",\"field\":\(quoted(field))" }
        return Array((text + "}\n").utf8)
    }
}

/// A JSON string.
private func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case _ where scalar.value < 0x20:
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
