internal import Glibc
internal import JSONScanning

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

    /// Whether the pipe's reader behind standard output has closed it.
    static var isStandardOutputGone: Bool {
        var state = pollfd(fd: 1, events: 0, revents: 0)
        return poll(&state, 1, 0) > 0 && state.revents & Int16(POLLERR) != 0
    }

    /// Prints one line of JSON.
    func result(json write: (inout JSONWriter) -> Void) {
        result(jsonLine(write))
    }
}

/// What a writer wrote.
func jsonLine(_ write: (inout JSONWriter) -> Void) -> String {
    var writer = JSONWriter()
    write(&writer)
    return String(decoding: writer.bytes, as: UTF8.self)
}

extension JSONValue {
    /// What a service answered; nil for what is not JSON.
    init?(answer body: [UInt8]) {
        guard let value = try? JSONValue(parsing: body) else { return nil }
        self = value
    }
}

/// What a service says about a request that it refuses (RFC 9457), for a person: what is wrong, and where.
func problemText(status: Int, body: [UInt8]) -> String {
    guard let problem = JSONValue(answer: body), let detail = problem["detail"]?.text else {
        let text = printable(String(decoding: body.prefix(200), as: UTF8.self))
        return text.isEmpty ? "status \(status)" : "status \(status): \(text)"
    }
    let place = problem["field"]?.text.map { " (\($0))" } ?? ""
    return printable("status \(status), \(problem["code"]?.text ?? "no code")\(place): \(detail)")
}
