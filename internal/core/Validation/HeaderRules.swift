internal import Records

/// Which headers of its own a webhook may have sent.
enum HeaderRules {
    static let maximumCount = 32
    static let maximumNameLength = 128
    /// Names and values together, in bytes.
    static let maximumTotal = 8192

    static func problems(in headers: [Webhook.Header]) -> [RequestProblem] {
        var problems: [RequestProblem] = []
        if headers.count > maximumCount {
            problems.append(invalid("headers", "has \(headers.count) headers, \(maximumCount) are allowed"))
        }
        let total = headers.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
        if total > maximumTotal {
            problems.append(invalid("headers", "has \(total) bytes altogether, \(maximumTotal) are allowed"))
        }
        var seen: Set<String> = []
        for (index, header) in headers.prefix(maximumCount).enumerated() {
            let isNew = seen.insert(lowercased(header.name)).inserted
            if let detail = problem(withName: header.name) {
                problems.append(invalid("headers[\(index)].name", detail))
            } else if !isNew {
                problems.append(invalid("headers[\(index)].name", "\(header.name.quoted) is there already"))
            }
            // A value may be a credential: it is never repeated.
            if let detail = problem(withValue: header.value) {
                problems.append(invalid("headers[\(index)].value", detail))
            }
        }
        return problems
    }

    private static func problem(withName name: String) -> String? {
        guard !name.isEmpty else { return "is empty" }
        guard name.utf8.count <= maximumNameLength else {
            return "has \(name.utf8.count) bytes, \(maximumNameLength) are allowed"
        }
        guard name.utf8.allSatisfy(\.isTokenCharacter) else {
            return "\(name.quoted) has characters that no header name has (letters, digits and !#$%&'*+-.^_`|~)"
        }
        let lower = lowercased(name)
        guard !reserved.contains(lower), !reservedPrefixes.contains(where: lower.hasPrefix) else {
            return "\(name.quoted) is set by the system and cannot be chosen"
        }
        return nil
    }

    private static func problem(withValue value: String) -> String? {
        let bytes = value.utf8
        guard bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0.isVisibleASCII || $0 >= 0x80 }) else {
            return "has control characters such as CR, LF or NUL"
        }
        let blanks: [UInt8?] = [0x20, 0x09]
        let isPadded = blanks.contains(bytes.first) || blanks.contains(bytes.last)
        return isPadded ? "begins or ends with a blank, which HTTP strips" : nil
    }

    private static func invalid(_ field: String, _ detail: String) -> RequestProblem {
        RequestProblem(field: field, .fieldInvalid, detail)
    }

    private static func lowercased(_ name: String) -> String {
        String(decoding: name.utf8.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
    }

    /// Framing, routing and meaning of the request, which the dispatcher decides.
    private static let reserved: Set<String> = [
        "host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "keep-alive",
        "proxy-connection", "proxy-authorization", "te", "trailer", "upgrade", "expect", "http2-settings",
        "traceparent", "tracestate", "date",
    ]
    private static let reservedPrefixes = ["webhook-", "ce-", "x-hub-signature"]
}
