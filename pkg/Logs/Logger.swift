/// Writes events as JSON, one line each. Shaped like swift-log's `Logger`: constant messages, what varies in metadata.
///
/// A value: copies carry their own metadata and level. All loggers write to one `LogOutput`.
public struct Logger: Sendable {
    /// The part of the program that speaks (`kafka.producer`); key `logger` of a line.
    public let label: String
    private let output: LogOutput
    private var ownLevel: Level?
    private var context: Metadata = [:]

    /// A logger that writes to the process' output (see `LoggingSystem`).
    public init(label: String) { self.init(label: label, output: LoggingSystem.output) }

    public init(label: String, output: LogOutput) {
        self.label = label
        self.output = output
    }

    /// What is less severe is left out; the output's level unless set here.
    public var logLevel: Level {
        get { ownLevel ?? output.level }
        set { ownLevel = newValue }
    }

    /// Metadata that every line of this logger carries.
    public subscript(metadataKey key: String) -> MetadataValue? {
        get { context[key] }
        set { context[key] = newValue }
    }

    /// Writes a line where `level` is enabled; neither message nor metadata is evaluated where it is not.
    /// - Parameter limit: Lets only some of many equal lines through; those left out are counted in the next.
    public func log(
        level: Level, _ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil,
        limit: LogLimiter? = nil
    ) {
        guard level >= logLevel else { return }
        var fields = context
        if let limit {
            guard let suppressed = limit.admit() else { return }
            if suppressed > 0 { fields["suppressed"] = .stringConvertible(suppressed) }
        }
        if let metadata = metadata() { fields.merge(metadata) { _, new in new } }
        output.write(level: level, label: label, message: message().text, metadata: fields)
    }

    public func trace(
        _ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil, limit: LogLimiter? = nil
    ) {
        log(level: .trace, message(), metadata: metadata(), limit: limit)
    }

    public func debug(
        _ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil, limit: LogLimiter? = nil
    ) {
        log(level: .debug, message(), metadata: metadata(), limit: limit)
    }

    public func info(
        _ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil, limit: LogLimiter? = nil
    ) {
        log(level: .info, message(), metadata: metadata(), limit: limit)
    }

    public func notice(
        _ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil, limit: LogLimiter? = nil
    ) {
        log(level: .notice, message(), metadata: metadata(), limit: limit)
    }

    public func warning(
        _ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil, limit: LogLimiter? = nil
    ) {
        log(level: .warning, message(), metadata: metadata(), limit: limit)
    }

    public func error(
        _ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil, limit: LogLimiter? = nil
    ) {
        log(level: .error, message(), metadata: metadata(), limit: limit)
    }

    public func critical(
        _ message: @autoclosure () -> Message, metadata: @autoclosure () -> Metadata? = nil, limit: LogLimiter? = nil
    ) {
        log(level: .critical, message(), metadata: metadata(), limit: limit)
    }
}

extension Logger {
    /// How much a line matters, least first.
    public enum Level: String, CaseIterable, Comparable, Sendable {
        case trace, debug, info, notice, warning, error, critical

        var rank: UInt8 {
            switch self {
            case .trace: 0
            case .debug: 1
            case .info: 2
            case .notice: 3
            case .warning: 4
            case .error: 5
            case .critical: 6
            }
        }

        public static func < (a: Level, b: Level) -> Bool { a.rank < b.rank }
    }

    /// What happened: constant text, so that lines can be counted and searched by it.
    public struct Message: ExpressibleByStringInterpolation, CustomStringConvertible, Equatable, Sendable {
        let text: String
        public init(stringLiteral value: String) { text = value }
        public var description: String { text }
    }

    public typealias Metadata = [String: MetadataValue]

    /// A JSON value. Numbers and Booleans wrapped in `stringConvertible` stay numbers and Booleans.
    public enum MetadataValue: Sendable, ExpressibleByStringInterpolation, ExpressibleByArrayLiteral,
        ExpressibleByDictionaryLiteral
    {
        case string(String)
        case stringConvertible(any CustomStringConvertible & Sendable)
        case array([MetadataValue])
        case dictionary(Metadata)

        public init(stringLiteral value: String) { self = .string(value) }
        public init(arrayLiteral elements: MetadataValue...) { self = .array(elements) }
        public init(dictionaryLiteral elements: (String, MetadataValue)...) {
            self = .dictionary(Dictionary(elements) { _, last in last })
        }
    }
}
