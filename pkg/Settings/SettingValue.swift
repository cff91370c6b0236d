/// A value for programs: what its YAML means.
public indirect enum SettingValue: Equatable, Sendable {
    case text(String)
    /// As it is written, which is how JSON writes it too.
    case number(String)
    case boolean(Bool)
    case list([SettingValue])
    /// In order of the names.
    case map([Member])

    public struct Member: Equatable, Sendable {
        public var name: String
        public var value: SettingValue
        public init(name: String, value: SettingValue) {
            self.name = name
            self.value = value
        }
    }

    init(_ node: YAMLNode) {
        switch node.content {
        case .scalar("true", isPlain: true): self = .boolean(true)
        case .scalar("false", isPlain: true): self = .boolean(false)
        case .scalar(let text, isPlain: true) where Double(text)?.isFinite == true: self = .number(text)
        case .scalar(let text, _): self = .text(text)
        case .sequence(let nodes): self = .list(nodes.map(SettingValue.init))
        case .mapping(let members):
            self = .map(members.map { Member(name: $0.key, value: SettingValue($0.value)) })
        }
    }
}

extension EffectiveSetting {
    /// The value for programs. A secret's is hidden, whatever it is.
    public var structuredValue: SettingValue {
        guard !isSecret, let node = try? YAMLDocument.read(Array(value.utf8)) else { return .text(shownValue) }
        return SettingValue(node)
    }
}
