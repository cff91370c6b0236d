public import WireFormat

/// What is wrong with a request, in a form that programs can act on (`proto/martlet/v1/registry.proto`).
public struct RequestProblem: Error, Equatable, Sendable, CustomStringConvertible {
    /// The path of the wrong field, such as `headers[2].value`; empty where none is to blame.
    public var field: String
    public var code: Code
    /// What is wrong and what was expected, for people.
    public var detail: String

    /// Stable, snake case: part of the API.
    public struct Code: Hashable, Sendable {
        public let text: String
        public init(_ text: String) { self.text = text }

        public static let fieldRequired = Code("field_required")
        public static let fieldInvalid = Code("field_invalid")
        public static let notFound = Code("not_found")
        public static let versionMismatch = Code("version_mismatch")
        public static let tooManyWebhooks = Code("too_many_webhooks")
        public static let tooManySecrets = Code("too_many_secrets")
    }

    public init(field: String = "", _ code: Code, _ detail: String) {
        self.field = field
        self.code = code
        self.detail = detail
    }

    public var description: String { field.isEmpty ? detail : "\(field): \(detail)" }
}

/// Where a gRPC status carries `RequestProblems`: trailing metadata.
public let problemsMetadataKey = "problems-bin"

public struct RequestProblems: Error, Equatable, Sendable {
    public var problems: [RequestProblem]
    public init(_ problems: [RequestProblem]) { self.problems = problems }
}

extension RequestProblems: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        problems = []
        while let field = try reader.next() {
            guard field.number == 1 else { continue }
            var inner = try field.message()
            problems.append(try RequestProblem(reading: &inner))
        }
    }

    public func write(to writer: inout WireWriter) {
        for problem in problems { writer.message(1) { problem.write(to: &$0) } }
    }
}

extension RequestProblem: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        self.init(Code(""), "")
        while let part = try reader.next() {
            switch part.number {
            case 1: field = try part.string()
            case 2: code = Code(try part.string())
            case 3: detail = try part.string()
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.string(1, field)
        writer.string(2, code.text)
        writer.string(3, detail)
    }
}
