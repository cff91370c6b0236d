/// Keys and values beside a message, in order; a key may come several times. Keys that end in `-bin` have values of any bytes,
/// the others of printable ASCII.
public struct GRPCMetadata: Equatable, Sendable, ExpressibleByDictionaryLiteral {
    public struct Entry: Equatable, Sendable {
        public let key: String
        public let value: [UInt8]
    }

    public private(set) var entries: [Entry] = []

    public init() {}

    public init(dictionaryLiteral elements: (String, String)...) {
        for (key, value) in elements { append(key, value) }
    }

    public mutating func append(_ key: String, _ value: String) { append(key, bytes: Array(value.utf8)) }

    public mutating func append(_ key: String, bytes value: [UInt8]) { entries.append(Entry(key: key, value: value)) }

    /// The first value of `key` as text.
    public subscript(key: String) -> String? {
        self[bytes: key].flatMap { String(validating: $0, as: UTF8.self) }
    }

    /// The first value of `key`.
    public subscript(bytes key: String) -> [UInt8]? { entries.first { $0.key == key }?.value }

    /// Why gRPC would not send this; nil where it would. gRPC core silently drops calls with bad metadata, so nothing is handed
    /// to it unchecked.
    public var problem: String? {
        var size = 0
        for entry in entries {
            if let problem = Self.problem(entry) { return problem }
            size += entry.key.utf8.count + entry.value.count + 32
        }
        return size <= Self.sizeLimitBytes ? nil : "metadata is limited to \(Self.sizeLimitBytes) bytes"
    }

    /// A peer accepts 8 KiB of headers, gRPC's own among them.
    public static let sizeLimitBytes = 6144

    private static func problem(_ entry: Entry) -> String? {
        let key = entry.key
        let isLegal = key.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): true
            default: false
            }
        }
        guard isLegal, !key.isEmpty else {
            return "metadata key \"\(key)\" has characters other than a-z, 0-9, -, _, ."
        }
        guard !key.hasPrefix("grpc-"), !reserved.contains(key) else { return "metadata key \"\(key)\" is gRPC's own" }
        guard key.hasSuffix("-bin") || entry.value.allSatisfy({ (0x20...0x7e).contains($0) }) else {
            return "metadata value of \"\(key)\" has characters other than printable ASCII"
        }
        return nil
    }

    private static let reserved: Set<String> = ["te", "content-type", "user-agent", "host", "connection"]
}
