public import HTTPServing
internal import JSONScanning
internal import Records
internal import ServiceSupport
internal import Validation

/// An event as a producer sent it: checked, and taken apart into what its record needs. The ranges are of the request's body.
public struct ParsedEvent: Sendable {
    /// nil: the producer leaves it to us.
    public var id: String?
    public var type: String
    public var source: String
    /// RFC 3339, as it was sent; nil: now.
    public var timestamp: String?
    public var orderingKey: String?
    /// The bytes of `data`; nil where there is none.
    var data: Range<Int>?
}

/// Parses the body of `POST /events`: one pass over it, nothing copied that is not needed. One per thread.
public struct EventParser {
    public static let maximumTextLength = 256

    private enum Field: Int, CaseIterable {
        case id, type, source, timestamp, orderingKey, data

        init?(_ key: UnsafeRawBufferPointer) {
            guard let field = Self.allCases.first(where: { $0.name.utf8.elementsEqual(key) }) else { return nil }
            self = field
        }

        var name: String { self == .orderingKey ? "ordering_key" : "\(self)" }
    }

    private var scanner = JSONScanner()
    private let maximumBytes: Int

    /// - Parameter maximumBytes: of the body.
    public init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    /// Throws the problem to answer with, which names the field at fault.
    public mutating func parse(_ body: UnsafeRawBufferPointer) throws(HTTPProblem) -> ParsedEvent {
        guard body.count <= maximumBytes else {
            throw HTTPProblem(
                status: 413, code: "too_large",
                detail:
                    "The event has \(body.count) bytes; \(maximumBytes) are taken. Send a reference to large data instead."
            )
        }
        var members = [JSONMember?](repeating: nil, count: Field.allCases.count)
        var unknown: JSONMember?
        do throws(JSONError) {
            try scanner.scanObject(body) { member in
                let key = UnsafeRawBufferPointer(rebasing: body[member.key])
                if !member.keyIsEscaped, let field = Field(key) {
                    members[field.rawValue] = member
                } else if unknown == nil {
                    unknown = member
                }
            }
        } catch {
            throw HTTPProblem(error, in: body)
        }
        if let unknown {
            throw HTTPProblem(
                JSONFieldError(path: jsonText(UnsafeRawBufferPointer(rebasing: body[unknown.key])), reason: .unknown))
        }
        return try event(members, body)
    }

    private func event(_ members: [JSONMember?], _ body: UnsafeRawBufferPointer) throws(HTTPProblem) -> ParsedEvent {
        func text(_ field: Field) throws(HTTPProblem) -> String? {
            guard let member = members[field.rawValue], member.kind != .null else { return nil }
            return try Self.text(field.name, member, body)
        }
        func required(_ field: Field) throws(HTTPProblem) -> String {
            guard let value = try text(field) else {
                throw HTTPProblem(JSONFieldError(path: field.name, reason: .missing))
            }
            return value
        }
        let type = try required(.type)
        if let problem = EventTypes.problem(withType: Array(type.utf8)) { throw Self.invalid("type", problem) }
        let timestamp = try text(.timestamp)
        if let timestamp, milliseconds(rfc3339: timestamp) == nil {
            throw Self.invalid(
                "timestamp", "Expected an RFC 3339 time such as 2026-11-21T04:23:00.123Z, found \(timestamp).")
        }
        return ParsedEvent(
            id: try text(.id), type: type, source: try required(.source), timestamp: timestamp,
            orderingKey: try text(.orderingKey), data: members[Field.data.rawValue]?.value)
    }

    private static func invalid(_ field: String, _ detail: String) -> HTTPProblem {
        HTTPProblem(status: 422, code: "field_invalid", detail: detail, field: field)
    }

    private static func text(_ name: String, _ member: JSONMember, _ body: UnsafeRawBufferPointer) throws(HTTPProblem)
        -> String
    {
        guard member.kind == .string else {
            throw invalid(name, "Expected \(name) to be a string, found \(member.kind).")
        }
        let inner = UnsafeRawBufferPointer(
            rebasing: body[(member.value.lowerBound + 1)..<(member.value.upperBound - 1)])
        let value = jsonText(inner)
        guard (1...maximumTextLength).contains(value.utf8.count) else {
            throw invalid(name, "\(name) has \(value.utf8.count) bytes; 1 to \(maximumTextLength) are taken.")
        }
        guard !value.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else {
            throw invalid(name, "\(name) has a control character in it.")
        }
        return value
    }
}
