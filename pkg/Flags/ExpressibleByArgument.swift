/// What can be read from one word of a command line.
public protocol ExpressibleByArgument {
    /// Nil where the word is none.
    init?(argument: String)
    /// As it would be typed.
    var argumentText: String { get }
    /// All values, where they are few.
    static var choices: [String] { get }
    /// What a value names.
    static var valueKind: ValueKind { get }
}

/// What a shell may offer where a value is to be typed.
public enum ValueKind: Sendable, Equatable {
    case text, file, directory
}

extension ExpressibleByArgument {
    public var argumentText: String { "\(self)" }
    public static var choices: [String] { [] }
    public static var valueKind: ValueKind { .text }
}

extension String: ExpressibleByArgument {
    public init?(argument: String) { self = argument }
}

extension ExpressibleByArgument where Self: FixedWidthInteger {
    public init?(argument: String) { self.init(argument, radix: 10) }
}

extension Int: ExpressibleByArgument {}
extension UInt: ExpressibleByArgument {}
extension UInt16: ExpressibleByArgument {}

extension Double: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

/// Enumerations of words: `enum Mode: String, CaseIterable, ExpressibleByArgument`.
extension ExpressibleByArgument where Self: RawRepresentable, RawValue == String {
    public init?(argument: String) { self.init(rawValue: argument) }
    public var argumentText: String { rawValue }
}

extension ExpressibleByArgument where Self: RawRepresentable & CaseIterable, RawValue == String {
    public static var choices: [String] { allCases.map(\.rawValue) }
}

/// The path of a file; nothing is said about whether there is one.
public struct FilePath: ExpressibleByArgument, Equatable, Sendable {
    public let path: String
    public init(_ path: String) { self.path = path }
    public init?(argument: String) { path = argument }
    public var argumentText: String { path }
    public static var valueKind: ValueKind { .file }
}

/// The path of a directory; nothing is said about whether there is one.
public struct DirectoryPath: ExpressibleByArgument, Equatable, Sendable {
    public let path: String
    public init(_ path: String) { self.path = path }
    public init?(argument: String) { path = argument }
    public var argumentText: String { path }
    public static var valueKind: ValueKind { .directory }
}
