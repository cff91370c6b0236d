internal import Spelling

/// Reads settings and learns, by being asked for them, which there are.
///
/// A key is declared where it is read: path, kind, default, meaning. What is wrong is collected and the default returned
/// instead, so that one start reports everything; `finish` then throws it all, together with the keys that nobody asked for.
public final class SettingsReader {
    private let sources: SettingsSources
    private var declared: [String: EffectiveSetting] = [:]
    private var order: [String] = []
    private var variables: Set<String> = []
    private var problems: [String] = []

    public init(_ sources: SettingsSources) {
        self.sources = sources
        variables = sources.otherVariables
    }

    /// The part below `name`.
    public func section(_ name: String) -> SettingsSection { SettingsSection(reader: self, path: name) }

    /// The value at `path` (dots between its parts), or its default.
    /// - Parameter isSecret: Never shown; may also come from the file that the variable `…_FILE` names.
    public func value<Value>(
        _ path: String, _ kind: SettingKind<Value>, default fallback: Value, isSecret: Bool = false, _ meaning: String
    ) -> Value {
        precondition(declared[path] == nil, "declared twice: \(path)")
        let variable = sources.variable(for: path)
        precondition(variables.insert(variable).inserted, "two keys share the variable \(variable)")
        if isSecret { variables.insert(variable + "_FILE") }
        var source = EffectiveSetting.Source.fallback
        var value = fallback
        if let (input, found) = find(path, variable: variable, isSecret: isSecret) {
            if let parsed = kind.parse(input) {
                (value, source) = (parsed, found)
            } else {
                refuse(path, shown: Self.shown(input, isSecret: isSecret), expected: kind.expectation, at: found)
            }
        }
        order.append(path)
        declared[path] = EffectiveSetting(
            path: path, variable: variable, meaning: meaning, expectation: kind.expectation, isSecret: isSecret,
            source: source, value: kind.render(value), defaultValue: kind.render(fallback))
        return value
    }

    /// Reports a problem of a key that was read: one that only several keys together show.
    public func refuse(_ path: String, because reason: String) {
        guard let setting = declared[path] else { preconditionFailure("not declared: \(path)") }
        problems.append("\(path) = \(setting.shownValue): \(reason) (\(setting.source))")
    }

    /// Throws `SettingsError` where anything was wrong. Called when every key has been read.
    public func finish() throws(SettingsError) {
        let unknown = unknownKeys() + unknownVariables()
        guard problems.isEmpty, unknown.isEmpty else { throw SettingsError(problems + unknown) }
    }

    /// Every key in the order in which it was read.
    public var effective: [EffectiveSetting] { order.compactMap { declared[$0] } }

    // MARK: Finding

    private func find(
        _ path: String, variable: String, isSecret: Bool
    ) -> (SettingInput, EffectiveSetting.Source)? {
        if let text = sources.environment[variable] { return (.text(text), .environment(variable)) }
        if isSecret, let file = sources.environment[variable + "_FILE"] {
            if let text = secret(in: file, path: path, variable: variable + "_FILE") {
                return (.text(text), .environment(variable + "_FILE"))
            }
            return nil
        }
        guard let file = sources.file, let node = node(at: path) else { return nil }
        let source = EffectiveSetting.Source.file(file, line: node.line)
        return (SettingInput(node), source)
    }

    /// The file's text without the line feed that editors put at its end.
    private func secret(in file: String, path: String, variable: String) -> String? {
        let source = EffectiveSetting.Source.environment(variable)
        guard case .success(var bytes) = SettingsSources.read(file), bytes.count <= 65_536 else {
            refuse(path, shown: file.debugDescription, expected: "a readable file of at most 64KiB", at: source)
            return nil
        }
        while bytes.last == UInt8(ascii: "\n") || bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            refuse(path, shown: file.debugDescription, expected: "a file of UTF-8 text", at: source)
            return nil
        }
        return text
    }

    private func node(at path: String) -> YAMLNode? {
        var node = sources.root
        for part in path.split(separator: ".") {
            guard case .mapping(let members) = node?.content else { return nil }
            node = members.first { $0.key == part }?.value
        }
        return node
    }

    private func refuse(_ path: String, shown: String, expected: String, at source: EffectiveSetting.Source) {
        problems.append("\(path): expected \(expected), found \(shown) (\(source))")
    }

    private static func shown(_ input: SettingInput, isSecret: Bool) -> String {
        if isSecret { return EffectiveSetting.mask }
        switch input {
        case .text(let text): return String(text.prefix(200)).debugDescription
        case .nothing: return "nothing"
        case .list(let elements):
            return "[" + elements.prefix(8).map { shown($0, isSecret: false) }.joined(separator: ", ") + "]"
        case .map(let members): return "{" + members.prefix(8).map { "\($0.0): …" }.joined(separator: ", ") + "}"
        }
    }

    // MARK: Unknown keys

    private func unknownKeys() -> [String] {
        guard let root = sources.root, let file = sources.file else { return [] }
        guard case .mapping(let members) = root.content else {
            return ["\(file):\(root.line): expected a mapping of settings"]
        }
        return unknownKeys(members, below: "", file: file)
    }

    private func unknownKeys(_ members: [YAMLNode.Member], below parent: String, file: String) -> [String] {
        members.flatMap { member -> [String] in
            let path = parent + member.key
            guard declared[path] == nil else { return [] }
            guard order.contains(where: { $0.hasPrefix(path + ".") }) else {
                return ["\(path): no such key (\(file):\(member.keyLine))" + Self.hint(path, among: order)]
            }
            if case .mapping(let inner) = member.value.content {
                return unknownKeys(inner, below: path + ".", file: file)
            }
            return member.value.isNull ? [] : ["\(path): expected a section of keys (\(file):\(member.value.line))"]
        }
    }

    private func unknownVariables() -> [String] {
        sources.environment.keys.filter { $0.hasPrefix(sources.prefix) && !variables.contains($0) }.sorted().map {
            "\($0): no setting has this environment variable" + Self.hint($0, among: variables.sorted())
        }
    }

    private static func hint(_ word: String, among candidates: [String]) -> String {
        Spelling.suggestion(for: word, among: candidates).map { "; did you mean \($0)?" } ?? ""
    }
}

/// A part of the settings: reads keys below one path.
public struct SettingsSection {
    private let reader: SettingsReader
    private let path: String

    fileprivate init(reader: SettingsReader, path: String) {
        self.reader = reader
        self.path = path
    }

    public func section(_ name: String) -> SettingsSection { SettingsSection(reader: reader, path: "\(path).\(name)") }

    /// See `SettingsReader.value`.
    public func value<Value>(
        _ name: String, _ kind: SettingKind<Value>, default fallback: Value, isSecret: Bool = false, _ meaning: String
    ) -> Value {
        reader.value("\(path).\(name)", kind, default: fallback, isSecret: isSecret, meaning)
    }

    /// See `SettingsReader.refuse`.
    public func refuse(_ name: String, because reason: String) { reader.refuse("\(path).\(name)", because: reason) }
}
