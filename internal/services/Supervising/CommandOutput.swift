internal import FoundationEssentials
internal import Glibc

/// What commands print: results on standard output, everything else on standard error. Usable from any thread.
public struct CommandOutput: Sendable {
    public let result: @Sendable (String) -> Void
    public let note: @Sendable (String) -> Void

    public init(result: @escaping @Sendable (String) -> Void, note: @escaping @Sendable (String) -> Void) {
        self.result = result
        self.note = note
    }

    /// Each text is written at once, whole, with a line's end.
    public static let standard = CommandOutput(result: { write($0, to: 1) }, note: { write($0, to: 2) })

    private static func write(_ text: String, to descriptor: Int32) {
        let bytes = Array(text.utf8) + [UInt8(ascii: "\n")]
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }  // nobody reads any more
            rest = rest.dropFirst(count)
        }
    }

    /// Prints a value as one line of JSON.
    func result(json value: some Encodable) {
        result(jsonText(value))
    }
}

/// One line of JSON, its keys in alphabetical order.
func jsonText(_ value: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Texts, numbers and arrays of them always encode.
    return (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "null"
}

/// The value that a body holds; nil where it holds something else.
func decodedJSON<Value: Decodable>(_ type: Value.Type, _ body: [UInt8]) -> Value? {
    try? JSONDecoder().decode(type, from: Data(body))
}

/// What a service says about a request that it refuses (RFC 9457).
struct ProblemAnswer: Decodable {
    var code: String?
    var detail: String?
    var field: String?

    /// For a person: what is wrong, and where.
    static func text(status: Int, body: [UInt8]) -> String {
        guard let problem = decodedJSON(ProblemAnswer.self, body), let detail = problem.detail else {
            let text = printable(String(decoding: body.prefix(200), as: UTF8.self))
            return text.isEmpty ? "status \(status)" : "status \(status): \(text)"
        }
        let place = problem.field.map { " (\($0))" } ?? ""
        return "status \(status), \(printable(problem.code ?? "no code"))\(printable(place)): \(printable(detail))"
    }
}
