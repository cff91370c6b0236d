internal import CGRPC

/// Borrowed views for the shim, and copies of what it lends.

extension cgrpc_bytes {
    var copied: [UInt8] { [UInt8](UnsafeRawBufferPointer(start: start, count: count)) }
    var text: String { String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self) }
}

extension UnsafeRawBufferPointer {
    var lent: cgrpc_bytes { cgrpc_bytes(start: baseAddress, count: count) }
}

func withLent<Result>(_ bytes: [UInt8], _ body: (cgrpc_bytes) -> Result) -> Result {
    bytes.withUnsafeBytes { body($0.lent) }
}

func withLent<Result>(_ text: String, _ body: (cgrpc_bytes) -> Result) -> Result {
    var text = text
    return text.withUTF8 { body(UnsafeRawBufferPointer($0).lent) }
}

extension GRPCMetadata {
    init(copying metadata: OpaquePointer) {
        self.init()
        for index in 0..<cgrpc_metadata_count(metadata) {
            let entry = cgrpc_metadata_at(metadata, index)
            append(entry.key.text, bytes: entry.value.copied)
        }
    }

    /// All keys and values laid end to end in one buffer, so that one scope lends them all.
    func withLent<Result>(_ body: (UnsafePointer<cgrpc_metadatum>?, Int) -> Result) -> Result {
        var bytes: [UInt8] = []
        for entry in entries {
            bytes += entry.key.utf8
            bytes += entry.value
        }
        return bytes.withUnsafeBytes { buffer in
            var start = 0
            func take(_ count: Int) -> cgrpc_bytes {
                defer { start += count }
                return UnsafeRawBufferPointer(rebasing: buffer[start..<start + count]).lent
            }
            let lent = entries.map {
                cgrpc_metadatum(key: take($0.key.utf8.count), value: take($0.value.count))
            }
            return lent.withUnsafeBufferPointer { body($0.baseAddress, $0.count) }
        }
    }
}

/// A message's bytes; nil where it cannot be decompressed.
func copyMessage(_ message: OpaquePointer?) -> [UInt8]? {
    guard let message else { return [] }
    var isWhole = true
    let bytes = [UInt8](unsafeUninitializedCapacity: cgrpc_message_size(message)) { buffer, count in
        guard let start = buffer.baseAddress else { return }
        isWhole = cgrpc_message_copy(message, start)
        count = isWhole ? buffer.count : 0
    }
    return isWhole ? bytes : nil
}

/// Lends channel arguments; `GRPC_ARG_…` in grpc_types.h explains each.
func withArguments<Result>(
    _ arguments: [(key: StaticString, value: Int)], _ body: (UnsafePointer<cgrpc_argument>?, Int) -> Result
) -> Result {
    let lent = arguments.map { argument in
        argument.key.utf8Start.withMemoryRebound(to: CChar.self, capacity: argument.key.utf8CodeUnitCount + 1) {
            cgrpc_argument(key: $0, value: Int32(clamping: argument.value))
        }
    }
    return lent.withUnsafeBufferPointer { body($0.baseAddress, $0.count) }
}

/// nil lends NULL.
func withOptional<Result>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result {
    guard let text else { return body(nil) }
    return text.withCString(body)
}
