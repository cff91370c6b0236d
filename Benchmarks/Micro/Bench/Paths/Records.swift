import Dispatching
import EventLoops
import HTTPSending
import Kafka
import Records
import WireFormat

/// Headers, outcomes and ids.
let recordBenchmarks: [Benchmark] = [
    Benchmark("headers/event", operations: 20_000) { filled(eventHeaders) },
    Benchmark("headers/delivery", operations: 20_000) { filled(deliveryHeaders) },
    // Those of the event are rendered once for all its webhooks; the others are a request's own.
    Benchmark("headers/request", operations: 20_000) {
        var event = HeaderLines()
        for (name, value) in eventHeaders.prefix(6) { event.append("ce-\(name)", value) }
        let shared = event
        return Benchmark.Work(
            run: { count in
                var lines = HeaderLines()
                var total = 0
                for _ in 0..<count {
                    lines.removeAll()
                    lines.append(contentsOf: shared)
                    lines.append("webhook-id", "ord-20261121-0000042")
                    lines.append("webhook-timestamp", "1795000000")
                    lines.append("webhook-attempt", "1")
                    lines.append("webhook-signature", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=")
                    total += lines.count
                }
                return UInt64(total)
            }, expected: { UInt64($0 * 10) })
    },
    Benchmark("record.read", operations: 5_000) { use in
        try withRecord(key: "default", value: Sample.eventBody(bytes: 500), headers: eventHeaders) { record in
            use(
                Benchmark.Work(
                    run: { count in
                        var bytes = 0
                        for _ in 0..<count { bytes += DispatchingHotPath.read(record.pointee) ?? 0 }
                        return UInt64(bytes)
                    }, expected: { UInt64($0 * "order.created".utf8.count) }))
        }
    },
    Benchmark("outcome.encode", operations: 20_000) {
        let outcome = Sample.outcome(requestID: 0x1234_5678_9abc_def0)
        let bytes = outcome.encoded().count
        return Benchmark.Work(
            run: { count in
                var outcome = outcome
                var total: UInt64 = 0
                for number in 0..<count {
                    outcome.requestID = UInt64(number)
                    total += UInt64(outcome.encoded().count)
                }
                // The request's id has a fixed size, but where it is 0 it is left out.
                return total
            }, expected: { UInt64(bytes * $0) - 9 })
    },
    Benchmark("outcome.decode", operations: 20_000) {
        let bytes = Sample.outcome(requestID: 0x1234_5678_9abc_def0).encoded()
        return Benchmark.Work(
            run: { count in
                var total: UInt64 = 0
                for _ in 0..<count {
                    guard let outcome = try? Outcome(decoding: bytes) else { continue }
                    total += UInt64(outcome.durationUs) + UInt64(outcome.eventID.utf8.count)
                }
                return total
            }, expected: { UInt64($0) * (12_345 + 20) })
    },
    Benchmark("delivery.id", operations: 50_000) {
        let identity = DeliveryIdentity(logID: "cluster-1", topic: "martlet.events", partition: 3)
        return Benchmark.Work(
            run: { count in
                var bits: UInt64 = 0
                for offset in 0..<count {
                    bits ^= identity.id(offset: Int64(offset), timestamp: 1_795_000_000_000, webhook: "wh_0042").word
                }
                return bits
            },
            expected: { count in
                (0..<count).map { Int64($0) }.reduce(0) {
                    let id = identity.id(offset: $1, timestamp: 1_795_000_000_000, webhook: "wh_0042")
                    return $0 ^ (DeliveryID(bytes: id.bytes)?.word ?? 0)
                }
            })
    },
]

private let eventHeaders: [(StaticString, String)] = [
    (RecordHeader.id, "ord-20261121-0000042"), (RecordHeader.type, "order.created"),
    (RecordHeader.source, "/shop/berlin"), (RecordHeader.time, "2026-11-21T04:23:00.123Z"),
    (RecordHeader.specVersion, "1.0"), (RecordHeader.contentType, "application/json"),
    (RecordHeader.tenant, "default"),
]

/// Those of a record in `retries`.
private let deliveryHeaders: [(StaticString, String)] =
    eventHeaders + [
        (RecordHeader.delivery, "dlv_00112233445566778899aabbccddeeff"), (RecordHeader.webhook, "wh_0042"),
        (RecordHeader.generation, "3"), (RecordHeader.attempt, "2"), (RecordHeader.originTopic, "martlet.events"),
        (RecordHeader.originPartition, "7"), (RecordHeader.originOffset, "123456789"),
        (RecordHeader.originTimestamp, "1795000000000"), (RecordHeader.since, "1795000000000"),
        (RecordHeader.reason, "status_503"), (RecordHeader.failure, "status_503"), (RecordHeader.status, "503"),
        (RecordHeader.due, "1795000060000"),
    ]

private func filled(_ fields: [(StaticString, String)]) -> Benchmark.Work {
    // Two lengths of four bytes go before each.
    let bytes = fields.reduce(0) { $0 + 8 + $1.0.utf8CodeUnitCount + $1.1.utf8.count }
    return Benchmark.Work(
        run: { count in
            var headers = RecordHeaders()
            var total = 0
            for _ in 0..<count {
                headers.removeAll()
                for (name, value) in fields { headers.append(name, value) }
                total += headers.byteCount
            }
            return UInt64(total)
        }, expected: { UInt64($0 * bytes) })
}
