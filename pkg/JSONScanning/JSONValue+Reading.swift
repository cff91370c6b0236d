/// Reading a document of which the shape is only hoped for: what is missing or of another kind is nil.
extension JSONValue {
    public subscript(key: String) -> JSONValue? { if case .object(let object) = self { object[key] } else { nil } }
    public var text: String? { if case .string(let text) = self { text } else { nil } }
    public var elements: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }
    public var integer: Int? { if case .number(let digits) = self { Int(digits) } else { nil } }
    public var number: Double? { if case .number(let digits) = self { Double(digits) } else { nil } }
    public var boolean: Bool? { if case .boolean(let value) = self { value } else { nil } }
    public var isNull: Bool { if case .null = self { true } else { false } }
}
