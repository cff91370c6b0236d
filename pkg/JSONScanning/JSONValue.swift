/// A JSON document as a tree: for requests of the control plane, where a clear error counts more than speed.
public enum JSONValue: Equatable, Sendable {
    case null
    case boolean(Bool)
    /// As it was written: no digit is lost.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// Parses strictly: everything that `JSONScanner` refuses is refused.
    public init(parsing bytes: UnsafeRawBufferPointer) throws(JSONError) {
        var scanner = JSONScanner()
        _ = try scanner.validate(bytes)
        var builder = TreeBuilder(bytes: bytes)
        self = builder.value()
    }

    public init(parsing bytes: [UInt8]) throws(JSONError) {
        let result: Result<JSONValue, JSONError> = bytes.withUnsafeBytes { buffer in
            do throws(JSONError) { return .success(try JSONValue(parsing: buffer)) } catch { return .failure(error) }
        }
        self = try result.get()
    }

    /// What it is, for messages.
    public var kindName: String {
        switch self {
        case .null: "null"
        case .boolean: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// An object's members, in order; keys are unique.
public struct JSONObject: Equatable, Sendable {
    public private(set) var members: [(key: String, value: JSONValue)] = []

    public init() {}

    public mutating func append(_ key: String, _ value: JSONValue) { members.append((key, value)) }

    public subscript(key: String) -> JSONValue? { members.first { $0.key == key }?.value }

    public var keys: [String] { members.map(\.key) }

    public static func == (a: JSONObject, b: JSONObject) -> Bool {
        a.members.count == b.members.count
            && zip(a.members, b.members).allSatisfy { $0.key == $1.key && $0.value == $1.value }
    }
}

/// A field that is not as it should be: `path` names it, as in `headers.X-A` or `event_types[2]`.
public struct JSONFieldError: Error, Equatable, Sendable {
    public enum Reason: Equatable, Sendable {
        case missing
        case unknown
        /// Another type than expected.
        case wrongType(expected: String, found: String)
        /// The right type, but no such value is taken.
        case outOfRange(expected: String)
    }

    public let path: String
    public let reason: Reason

    public init(path: String, reason: Reason) {
        self.path = path
        self.reason = reason
    }
}

/// Reads the fields of one object, each at most once, and knows which were not asked for.
public struct JSONFields {
    private let object: JSONObject
    private let path: String
    private var read: Set<String> = []

    /// - Parameter path: the object's own path; empty for the outermost.
    public init(_ value: JSONValue, path: String = "") throws(JSONFieldError) {
        guard case .object(let object) = value else {
            throw JSONFieldError(path: path, reason: .wrongType(expected: "an object", found: value.kindName))
        }
        self.object = object
        self.path = path
    }

    private func name(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    /// Whether the field is there, `null` included.
    public func contains(_ key: String) -> Bool { object[key] != nil }

    /// The field's value; nil where it is absent or `null`.
    public mutating func value(_ key: String) -> JSONValue? {
        read.insert(key)
        guard let value = object[key], value != .null else { return nil }
        return value
    }

    public mutating func string(_ key: String) throws(JSONFieldError) -> String? {
        guard let value = value(key) else { return nil }
        guard case .string(let text) = value else { throw Self.wrong(name(key), "a string", value) }
        return text
    }

    public mutating func boolean(_ key: String) throws(JSONFieldError) -> Bool? {
        guard let value = value(key) else { return nil }
        guard case .boolean(let flag) = value else { throw Self.wrong(name(key), "a boolean", value) }
        return flag
    }

    public mutating func integer(_ key: String, in range: ClosedRange<Int>) throws(JSONFieldError) -> Int? {
        guard let value = value(key) else { return nil }
        return try Self.integer(value, in: range, at: name(key))
    }

    private static func integer(
        _ value: JSONValue, in range: ClosedRange<Int>, at path: String
    ) throws(JSONFieldError) -> Int {
        guard case .number(let text) = value else { throw wrong(path, "a number", value) }
        guard let number = Int(text), range.contains(number) else {
            throw JSONFieldError(
                path: path,
                reason: .outOfRange(expected: "a whole number from \(range.lowerBound) to \(range.upperBound)"))
        }
        return number
    }

    public mutating func number(_ key: String, in range: ClosedRange<Double>) throws(JSONFieldError) -> Double? {
        guard let value = value(key) else { return nil }
        guard case .number(let text) = value else { throw Self.wrong(name(key), "a number", value) }
        guard let number = Double(text), range.contains(number) else {
            throw JSONFieldError(
                path: name(key),
                reason: .outOfRange(expected: "a number from \(range.lowerBound) to \(range.upperBound)"))
        }
        return number
    }

    public mutating func integers(_ key: String, in range: ClosedRange<Int>) throws(JSONFieldError) -> [Int]? {
        guard let value = value(key) else { return nil }
        guard case .array(let elements) = value else { throw Self.wrong(name(key), "an array of numbers", value) }
        var numbers: [Int] = []
        for (index, element) in elements.enumerated() {
            numbers.append(try Self.integer(element, in: range, at: "\(name(key))[\(index)]"))
        }
        return numbers
    }

    public mutating func strings(_ key: String) throws(JSONFieldError) -> [String]? {
        guard let value = value(key) else { return nil }
        guard case .array(let elements) = value else { throw Self.wrong(name(key), "an array of strings", value) }
        var texts: [String] = []
        for (index, element) in elements.enumerated() {
            guard case .string(let text) = element else {
                throw Self.wrong("\(name(key))[\(index)]", "a string", element)
            }
            texts.append(text)
        }
        return texts
    }

    /// An object whose values are strings, in order.
    public mutating func stringMap(_ key: String) throws(JSONFieldError) -> [(key: String, value: String)]? {
        guard let value = value(key) else { return nil }
        guard case .object(let object) = value else { throw Self.wrong(name(key), "an object of strings", value) }
        var pairs: [(key: String, value: String)] = []
        for (inner, element) in object.members {
            guard case .string(let text) = element else {
                throw Self.wrong("\(name(key)).\(inner)", "a string", element)
            }
            pairs.append((inner, text))
        }
        return pairs
    }

    /// The field, which has to be there.
    public func required<Value>(_ key: String, _ value: Value?) throws(JSONFieldError) -> Value {
        guard let value else { throw JSONFieldError(path: name(key), reason: .missing) }
        return value
    }

    /// Throws for the first field that nobody asked for.
    public func refuseOthers() throws(JSONFieldError) {
        if let key = object.keys.first(where: { !read.contains($0) }) {
            throw JSONFieldError(path: name(key), reason: .unknown)
        }
    }

    private static func wrong(_ path: String, _ expected: String, _ found: JSONValue) -> JSONFieldError {
        JSONFieldError(path: path, reason: .wrongType(expected: expected, found: found.kindName))
    }
}

/// Builds the tree of a document that has been validated.
private struct TreeBuilder {
    let bytes: UnsafeRawBufferPointer
    var index = 0

    mutating func value() -> JSONValue {
        skipBlanks()
        switch bytes[index] {
        case UInt8(ascii: "{"): return object()
        case UInt8(ascii: "["): return array()
        case UInt8(ascii: "\""): return .string(string())
        case UInt8(ascii: "t"):
            index += 4
            return .boolean(true)
        case UInt8(ascii: "f"):
            index += 5
            return .boolean(false)
        case UInt8(ascii: "n"):
            index += 4
            return .null
        default: return .number(number())
        }
    }

    private mutating func skipBlanks() {
        while index < bytes.count, [0x20, 0x0a, 0x0d, 0x09].contains(bytes[index]) { index += 1 }
    }

    /// Skips blanks and a comma or colon; true where the container ends instead.
    private mutating func ends(with closing: UInt8) -> Bool {
        skipBlanks()
        if bytes[index] == UInt8(ascii: ",") {
            index += 1
            skipBlanks()
        }
        guard bytes[index] == closing else { return false }
        index += 1
        return true
    }

    private mutating func object() -> JSONValue {
        var object = JSONObject()
        index += 1
        while !ends(with: UInt8(ascii: "}")) {
            let key = string()
            skipBlanks()
            index += 1
            object.append(key, value())
        }
        return .object(object)
    }

    private mutating func array() -> JSONValue {
        var elements: [JSONValue] = []
        index += 1
        while !ends(with: UInt8(ascii: "]")) { elements.append(value()) }
        return .array(elements)
    }

    private mutating func string() -> String {
        index += 1
        let start = index
        while bytes[index] != UInt8(ascii: "\"") { index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1 }
        index += 1
        return jsonText(UnsafeRawBufferPointer(rebasing: bytes[start..<(index - 1)]))
    }

    private mutating func number() -> String {
        let start = index
        while index < bytes.count, "+-.eE0123456789".utf8.contains(bytes[index]) { index += 1 }
        return String(decoding: bytes[start..<index], as: UTF8.self)
    }
}
