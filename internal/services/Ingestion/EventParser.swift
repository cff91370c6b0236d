internal import HTTPServing
internal import JSONScanning
internal import ServiceSupport
internal import Validation

/// A string of a request's body.
struct EventText {
    /// Where it stands as JSON, quotes included.
    let json: Range<Int>
    /// Its text, where escapes make that differ from the bytes between the quotes.
    let unescaped: [UInt8]?

    func withBytes<Result>(of body: UnsafeRawBufferPointer, _ work: (UnsafeRawBufferPointer) -> Result) -> Result {
        if let unescaped { return unescaped.withUnsafeBytes(work) }
        return work(UnsafeRawBufferPointer(rebasing: body[(json.lowerBound + 1)..<(json.upperBound - 1)]))
    }
}

/// An event as a producer sent it: checked, and taken apart into what its record needs. The ranges are of the request's body.
struct ParsedEvent {
    /// nil: the producer leaves it to us.
    var id: EventText?
    var type: EventText
    var source: EventText
    /// RFC 3339, as it was sent; nil: now.
    var timestamp: EventText?
    var orderingKey: EventText?
    /// The bytes of `data`; nil where there is none.
    var data: Range<Int>?
}

/// Parses the body of `POST /events`: one pass over it, nothing copied. One per thread.
struct EventParser {
    /// Of ids, sources and ordering keys, in bytes.
    static let maximumTextLength = 256

    private struct Members {
        var id: JSONMember?
        var type: JSONMember?
        var source: JSONMember?
        var timestamp: JSONMember?
        var orderingKey: JSONMember?
        var data: JSONMember?
        /// The first one that no event has.
        var unknown: JSONMember?

        mutating func add(_ member: JSONMember, _ body: UnsafeRawBufferPointer) {
            let key = UnsafeRawBufferPointer(rebasing: body[member.key])
            // Escapes in a key are allowed by JSON and used by nobody.
            if member.keyIsEscaped {
                unknown = unknown ?? member
            } else if key.isText("data") {
                data = member
            } else if key.isText("type") {
                type = member
            } else if key.isText("source") {
                source = member
            } else if key.isText("id") {
                id = member
            } else if key.isText("timestamp") {
                timestamp = member
            } else if key.isText("ordering_key") {
                orderingKey = member
            } else {
                unknown = unknown ?? member
            }
        }
    }

    private var scanner = JSONScanner()
    private let maximumBytes: Int

    /// - Parameter maximumBytes: of an event.
    init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    /// Throws the problem to answer with, which names the field at fault.
    mutating func parse(_ body: UnsafeRawBufferPointer) throws(HTTPProblem) -> ParsedEvent {
        try checkSize(body.count)
        var members = Members()
        do throws(JSONError) {
            try scanner.scanObject(body) { members.add($0, body) }
        } catch {
            throw HTTPProblem(error, in: body)
        }
        if let unknown = members.unknown {
            let name = jsonText(UnsafeRawBufferPointer(rebasing: body[unknown.key]))
            throw HTTPProblem(JSONFieldError(path: name, reason: .unknown))
        }
        return try event(members, body)
    }

    /// Where the events of a batch lie in its body; they are not looked at. Throws as `parse` does.
    mutating func parseBatch(
        _ body: UnsafeRawBufferPointer, _ limits: EventSettings
    ) throws(HTTPProblem) -> [Range<Int>] {
        guard body.count <= limits.maxBatchBytes else {
            throw Self.tooLarge("The batch has \(body.count) bytes; \(limits.maxBatchBytes) are taken. Send several.")
        }
        var places: [Range<Int>] = []
        do throws(JSONError) {
            try scanner.scanArray(body) { places.append($0) }
        } catch {
            let problem = HTTPProblem(error, in: body)
            throw problem.field == nil ? problem : problem.ofElement(places.count)
        }
        guard places.count <= limits.maxBatch else {
            throw Self.tooLarge("The batch has \(places.count) events; \(limits.maxBatch) are taken. Send several.")
        }
        return places
    }

    /// - Parameter count: the bytes of an event, as it came or as it is sent on.
    func checkSize(_ count: Int) throws(HTTPProblem) {
        guard count > maximumBytes else { return }
        throw Self.tooLarge(
            "The event has \(count) bytes; \(maximumBytes) are taken. Send a reference to large data instead.")
    }

    private static func tooLarge(_ detail: String) -> HTTPProblem {
        HTTPProblem(status: 413, code: "too_large", detail: detail)
    }

    private func event(_ members: Members, _ body: UnsafeRawBufferPointer) throws(HTTPProblem) -> ParsedEvent {
        let type = try Self.required("type", members.type, body)
        if let problem = type.withBytes(of: body, { EventTypes.problem(withType: $0) }) {
            throw Self.invalid("type", "type \(problem).")
        }
        let timestamp = try Self.text("timestamp", members.timestamp, body)
        if let timestamp, timestamp.withBytes(of: body, { milliseconds(rfc3339: $0) }) == nil {
            throw Self.invalid(
                "timestamp", "Expected timestamp to be an RFC 3339 time such as 2026-11-21T04:23:00.123Z.")
        }
        return ParsedEvent(
            id: try Self.text("id", members.id, body), type: type,
            source: try Self.required("source", members.source, body), timestamp: timestamp,
            orderingKey: try Self.text("ordering_key", members.orderingKey, body), data: members.data?.value)
    }

    private static func invalid(_ field: String, _ detail: String) -> HTTPProblem {
        HTTPProblem(status: 422, code: "field_invalid", detail: detail, field: field)
    }

    private static func required(
        _ name: StaticString, _ member: JSONMember?, _ body: UnsafeRawBufferPointer
    ) throws(HTTPProblem) -> EventText {
        guard let text = try text(name, member, body) else {
            throw HTTPProblem(JSONFieldError(path: "\(name)", reason: .missing))
        }
        return text
    }

    /// nil where it is not there, or `null`.
    private static func text(
        _ name: StaticString, _ member: JSONMember?, _ body: UnsafeRawBufferPointer
    ) throws(HTTPProblem) -> EventText? {
        guard let member, member.kind != .null else { return nil }
        guard member.kind == .string else {
            throw invalid("\(name)", "Expected \(name) to be a string, found \(article(member.kind)).")
        }
        let inner = UnsafeRawBufferPointer(
            rebasing: body[(member.value.lowerBound + 1)..<(member.value.upperBound - 1)])
        let text = EventText(
            json: member.value, unescaped: member.valueIsEscaped ? Array(jsonText(inner).utf8) : nil)
        let (count, hasControls) = text.withBytes(of: body) { ($0.count, $0.hasControlCharacter) }
        guard count > 0, count <= maximumTextLength else {
            throw invalid("\(name)", "\(name) has \(count) bytes; 1 to \(maximumTextLength) are taken.")
        }
        guard !hasControls else { throw invalid("\(name)", "\(name) has a control character in it.") }
        return text
    }

    private static func article(_ kind: JSONKind) -> String {
        switch kind {
        case .object: "an object"
        case .array: "an array"
        case .string: "a string"
        case .number: "a number"
        case .boolean: "a boolean"
        case .null: "null"
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether these are the bytes of `text`.
    @inline(__always) func isText(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count where self[index] != text.utf8Start[index] { return false }
        return true
    }

    /// Such as would break the line of a header.
    fileprivate var hasControlCharacter: Bool {
        for byte in self where byte < 0x20 || byte == 0x7f { return true }
        return false
    }
}
