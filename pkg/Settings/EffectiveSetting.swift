/// A key as it stands: what it is, what it is for, and where that comes from.
public struct EffectiveSetting: Equatable, Sendable {
    public enum Source: Equatable, Sendable, CustomStringConvertible {
        case fallback
        case file(String, line: Int)
        case environment(String)

        public var description: String {
            switch self {
            case .fallback: "default"
            case .file(let name, let line): "\(name):\(line)"
            case .environment(let variable): "environment \(variable)"
            }
        }
    }

    static let mask = "******"

    public let path: String
    /// The environment variable that overrides it.
    public let variable: String
    public let meaning: String
    public let expectation: String
    public let isSecret: Bool
    public let source: Source
    /// As YAML. A secret's too: show `shownValue`.
    public let value: String
    public let defaultValue: String

    /// The value for people to see: a secret's is hidden, whatever it is.
    public var shownValue: String { isSecret ? Self.mask : value }
}
