/// The key of a record in topic `retries`. It names the generation, so that a late tombstone can only erase what it was meant
/// for, never its successor.
public enum RetryKey: Hashable, Sendable, CustomStringConvertible {
    /// A delivery that waits: `dlv_…#3`.
    case delivery(DeliveryID, generation: UInt32)
    /// A user wants this generation fired now: `dlv_…#3!retry`.
    case retryNow(DeliveryID, generation: UInt32)
    /// A user wants the delivery closed, this generation or a later one: `dlv_…!cancel`.
    case cancel(DeliveryID)
    /// The partition has a new owner: `fence`.
    case fence

    public var description: String {
        switch self {
        case .delivery(let id, let generation): "\(id)#\(generation)"
        case .retryNow(let id, let generation): "\(id)#\(generation)!retry"
        case .cancel(let id): "\(id)!cancel"
        case .fence: "fence"
        }
    }

    /// nil for bytes that are no such key.
    public init?(_ bytes: UnsafeRawBufferPointer) {
        if bytes.elementsEqual("fence".utf8) {
            self = .fence
            return
        }
        guard bytes.count > 36, let id = DeliveryID(text: UnsafeRawBufferPointer(rebasing: bytes[..<36])) else {
            return nil
        }
        let rest = bytes[36...]
        if rest.elementsEqual("!cancel".utf8) {
            self = .cancel(id)
            return
        }
        guard rest.first == UInt8(ascii: "#") else { return nil }
        let digits = rest.dropFirst().prefix { $0 != UInt8(ascii: "!") }
        guard let generation = Self.number(digits) else { return nil }
        let suffix = rest[digits.endIndex...]
        if suffix.isEmpty {
            self = .delivery(id, generation: generation)
        } else if suffix.elementsEqual("!retry".utf8) {
            self = .retryNow(id, generation: generation)
        } else {
            return nil
        }
    }

    private static func number(_ digits: Slice<UnsafeRawBufferPointer>) -> UInt32? {
        guard (1...10).contains(digits.count) else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            value = value * 10 + UInt64(digit - UInt8(ascii: "0"))
        }
        return UInt32(exactly: value)
    }
}
