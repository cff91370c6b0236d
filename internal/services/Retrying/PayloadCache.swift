internal import Kafka

/// A record of `retries`, as it will be fired.
struct Payload {
    /// The webhook's id: the key in `deliveries`.
    var webhook: String
    var headers: RecordHeaders
    /// Milliseconds since 1970; 0 for what waited in a lane, which is not late but in a queue.
    var dueAtMs: Int64
    var value: [UInt8]

    /// What it takes of the memory, about.
    var byteCount: Int { value.count + headers.byteCount + 128 }
}

/// Payloads by their offsets in one partition, first in, first out, within bytes that all partitions share.
struct PayloadCache {
    private var payloads: [Int64: Payload] = [:]
    private var order: [Int64] = []
    private var head = 0
    private(set) var byteCount = 0

    var count: Int { payloads.count }

    func contains(_ offset: Int64) -> Bool { payloads[offset] != nil }

    subscript(offset: Int64) -> Payload? { payloads[offset] }

    mutating func insert(_ payload: Payload, at offset: Int64) {
        guard payloads[offset] == nil else { return }
        payloads[offset] = payload
        byteCount += payload.byteCount
        order.append(offset)
    }

    mutating func remove(_ offset: Int64) {
        guard let payload = payloads.removeValue(forKey: offset) else { return }
        byteCount -= payload.byteCount
    }

    /// Drops the oldest one.
    mutating func evict() {
        while head < order.count {
            let offset = order[head]
            head += 1
            if head > 1_024, head * 2 > order.count {
                order.removeFirst(head)
                head = 0
            }
            if payloads[offset] != nil { return remove(offset) }
        }
    }
}
