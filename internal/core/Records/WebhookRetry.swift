public import WireFormat

/// When a webhook's failed deliveries are tried again: message `RetryPolicy` of `proto/martlet/v1/records.proto`. Either the schedule or
/// the others; what is nil of those is the system's. Times in milliseconds.
public struct WebhookRetry: Equatable, Sendable {
    public static let delayMs: ClosedRange<Int64> = 100...604_800_000
    public static let firstDelayMs: ClosedRange<Int64> = 100...86_400_000
    public static let multiplier: ClosedRange<Double> = 1...100
    public static let retries: ClosedRange<UInt32> = 0...100
    /// Delays of a schedule.
    public static let scheduleCount = 1...50

    public var scheduleMs: [Int64] = []
    public var initialDelayMs: Int64?
    public var backoffMultiplier: Double?
    public var maxDelayMs: Int64?
    public var maxRetries: UInt32?

    public init() {}

    /// Whether it says nothing: everything is the system's.
    public var isEmpty: Bool { scheduleMs.isEmpty && !isExponential }

    /// Whether it has any of what a schedule excludes.
    public var isExponential: Bool {
        initialDelayMs != nil || backoffMultiplier != nil || maxDelayMs != nil || maxRetries != nil
    }
}

extension WebhookRetry: WireMessage {
    public init(reading reader: inout WireReader) throws(WireError) {
        try merge(&reader)
    }

    /// As Protobuf has it for a message that comes twice: repeated fields are appended, of the others the last one counts.
    mutating func merge(_ reader: inout WireReader) throws(WireError) {
        while let field = try reader.next() {
            switch field.number {
            case 1: scheduleMs += try field.varints().map { Int64(bitPattern: $0) }
            case 2: initialDelayMs = try field.int64()
            case 3: backoffMultiplier = Double(bitPattern: try field.fixed64())
            case 4: maxDelayMs = try field.int64()
            case 5: maxRetries = UInt32(truncatingIfNeeded: try field.varint())
            default: break
            }
        }
    }

    public func write(to writer: inout WireWriter) {
        writer.varints(1, scheduleMs.map { UInt64(bitPattern: $0) })
        if let initialDelayMs { writer.varint(2, present: UInt64(bitPattern: initialDelayMs)) }
        if let backoffMultiplier { writer.fixed64(3, present: backoffMultiplier.bitPattern) }
        if let maxDelayMs { writer.varint(4, present: UInt64(bitPattern: maxDelayMs)) }
        if let maxRetries { writer.varint(5, present: UInt64(maxRetries)) }
    }
}
