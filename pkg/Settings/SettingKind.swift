/// What a setting may be: how it is read, what is said when it cannot be, and how it is written.
public struct SettingKind<Value: Sendable>: Sendable {
    /// "an integer from 1 to 16": what follows "expected".
    public let expectation: String
    let parse: @Sendable (SettingInput) -> Value?
    /// As it stands in YAML.
    let render: @Sendable (Value) -> String

    init(
        _ expectation: String, parse: @escaping @Sendable (SettingInput) -> Value?,
        render: @escaping @Sendable (Value) -> String
    ) {
        self.expectation = expectation
        self.parse = parse
        self.render = render
    }

    /// A kind that is one piece of text.
    public init(
        _ expectation: String, text parse: @escaping @Sendable (String) -> Value?,
        render: @escaping @Sendable (Value) -> String
    ) {
        self.init(expectation, parse: { input in input.text.flatMap(parse) }, render: render)
    }
}

/// A value as it was found, wherever that was.
enum SettingInput {
    /// A key without a value.
    case nothing
    case text(String)
    case list([SettingInput])
    case map([(String, SettingInput)])

    var text: String? {
        guard case .text(let text) = self else { return nil }
        return text
    }

    init(_ node: YAMLNode) {
        switch node.content {
        case .scalar where node.isNull: self = .nothing
        case .scalar(let text, _): self = .text(text)
        case .sequence(let nodes): self = .list(nodes.map(SettingInput.init))
        case .mapping(let members): self = .map(members.map { ($0.key, SettingInput($0.value)) })
        }
    }
}

extension SettingKind where Value == String {
    /// Text of some length in characters. NUL and line breaks are refused.
    public static func text(_ length: ClosedRange<Int> = 0...1_024) -> SettingKind {
        let least = length.lowerBound == 1 ? "text" : "text of \(length.lowerBound) characters or more"
        let expectation = length.lowerBound == 0 ? "text (\"\" for none)" : least
        return SettingKind(
            expectation,
            text: { text in
                let isPrintable = text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }
                return length.contains(text.count) && isPrintable ? text : nil
            }, render: quoted)
    }
}

extension SettingKind where Value == Int {
    public static func integer(_ range: ClosedRange<Int>) -> SettingKind {
        SettingKind(
            "an integer from \(range.lowerBound) to \(range.upperBound)",
            text: { text in Int(text).flatMap { range.contains($0) ? $0 : nil } }, render: { "\($0)" })
    }

    /// A number of bytes: `512`, `64KiB`, `5MiB`, `2GiB`.
    public static func bytes(_ range: ClosedRange<Int>) -> SettingKind {
        SettingKind(
            "a size from \(ByteSize.text(range.lowerBound)) to \(ByteSize.text(range.upperBound)), such as 64KiB or 5MiB",
            text: { text in ByteSize.parse(text).flatMap { range.contains($0) ? $0 : nil } }, render: ByteSize.text)
    }
}

extension SettingKind where Value == Double {
    /// A number such as `2` or `0.25`.
    public static func number(_ range: ClosedRange<Double>) -> SettingKind {
        @Sendable func text(_ value: Double) -> String { Int(exactly: value).map { "\($0)" } ?? "\(value)" }
        return SettingKind(
            "a number from \(text(range.lowerBound)) to \(text(range.upperBound))",
            text: { word in
                let isPlain = word.utf8.allSatisfy {
                    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: ".")
                        || $0 == UInt8(ascii: "-")
                }
                return isPlain ? Double(word).flatMap { range.contains($0) ? $0 : nil } : nil
            }, render: text)
    }
}

extension SettingKind where Value == Bool {
    public static var boolean: SettingKind {
        SettingKind("true or false", text: { $0 == "true" ? true : $0 == "false" ? false : nil }, render: { "\($0)" })
    }
}

extension SettingKind where Value == Duration {
    /// A length of time: `250ms`, `6s`, `15m`, `72h`, `30d`.
    public static func duration(_ range: ClosedRange<Duration>) -> SettingKind {
        SettingKind(
            "a duration from \(DurationText.text(range.lowerBound)) to \(DurationText.text(range.upperBound)), "
                + "such as 250ms, 6s, 15m or 72h",
            text: { text in DurationText.parse(text).flatMap { range.contains($0) ? $0 : nil } },
            render: DurationText.text)
    }
}

extension SettingKind where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    public static func choice(of type: Value.Type = Value.self) -> SettingKind {
        SettingKind(
            "one of " + Value.allCases.map(\.rawValue).joined(separator: ", "), text: Value.init(rawValue:),
            render: \.rawValue)
    }
}

extension SettingKind where Value == HostPort {
    public static var hostPort: SettingKind {
        SettingKind("host:port, such as 127.0.0.1:8080", text: HostPort.init, render: { quoted($0.description) })
    }
}

extension SettingKind {
    /// A YAML list, or its elements in one piece of text separated by commas; empty text is an empty list.
    public static func list<Element>(
        of kind: SettingKind<Element>, count: ClosedRange<Int> = 0...256
    ) -> SettingKind where Value == [Element] {
        let counted = count.lowerBound > 0 ? "at least \(count.lowerBound)" : "any number"
        return SettingKind(
            "a list, of each: \(kind.expectation) (\(counted), at most \(count.upperBound))",
            parse: { input in
                let parts: [SettingInput]
                switch input {
                case .list(let elements): parts = elements
                case .text(let text): parts = splitAtCommas(text).map { .text($0) }
                case .map, .nothing: return nil
                }
                let values = parts.compactMap(kind.parse)
                return values.count == parts.count && count.contains(values.count) ? values : nil
            },
            render: { "[" + $0.map(kind.render).joined(separator: ", ") + "]" })
    }

    /// A YAML mapping of text to text, or one piece of text: `name=value,name=value`.
    public static func map<Element>(
        of kind: SettingKind<Element>, name: String = "name"
    ) -> SettingKind where Value == [String: Element] {
        SettingKind(
            "a map from \(name) to \(kind.expectation)",
            parse: { input in
                let pairs: [(String, SettingInput)]
                switch input {
                case .map(let members): pairs = members
                case .text(let text):
                    pairs = splitAtCommas(text).map { part in
                        let name = part.prefix { $0 != "=" }
                        return (String(name), .text(String(part.dropFirst(name.count + 1))))
                    }
                case .list, .nothing: return nil
                }
                var result: [String: Element] = [:]
                for (name, input) in pairs {
                    guard !name.isEmpty, let value = kind.parse(input), result.updateValue(value, forKey: name) == nil
                    else { return nil }
                }
                return result
            },
            render: { map in
                "{"
                    + map.sorted { $0.key < $1.key }.map { "\(quoted($0.key)): \(kind.render($0.value))" }
                    .joined(separator: ", ") + "}"
            })
    }
}

private func splitAtCommas(_ text: String) -> [String] {
    guard text.contains(where: { $0 != " " }) else { return [] }
    return text.split(separator: ",", omittingEmptySubsequences: false).map { part in
        String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}

/// Text as a YAML scalar: in double quotes, with the two characters escaped that need it.
private func quoted(_ text: String) -> String {
    var result = "\""
    for character in text {
        if character == "\"" || character == "\\" { result.append("\\") }
        result.append(character)
    }
    return result + "\""
}
