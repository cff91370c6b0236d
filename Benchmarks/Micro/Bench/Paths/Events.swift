import Ingestion
import JSONScanning
import ServiceSupport

/// From the body of a request to a record.
let eventBenchmarks: [Benchmark] =
    Sample.sizes.map { size in
        Benchmark("json.scan/\(size.name)", operations: size.operations) {
            let body = Sample.eventBody(bytes: size.bytes)
            return Benchmark.Work(
                run: { count in
                    var scanner = JSONScanner()
                    var objects: UInt64 = 0
                    body.withUnsafeBytes { body in
                        for _ in 0..<count where (try? scanner.validate(body)) == .object { objects += 1 }
                    }
                    return objects
                }, expected: { UInt64($0) })
        }
    }
    + Sample.sizes.map { size in
        Benchmark("event.build/\(size.name)", operations: size.operations) {
            let body = Sample.eventBody(bytes: size.bytes)
            return built(body, addedBytes: addedBytes)
        }
    } + [
        // Without an id one is drawn, so that the path is another one.
        Benchmark("event.build/no-id", operations: 20_000) {
            let text = String(decoding: Sample.eventBody(bytes: 500), as: UTF8.self)
            let body = Array(text.replacing(#""id":"ord-20261121-0000042","#, with: "").utf8)
            return built(body, addedBytes: addedBytes + #""id":"","#.utf8.count + 36)
        },
        // The operation is one event.
        Benchmark("event.batch/100x500B", operations: 20_000) {
            let event = Sample.eventBody(bytes: 500)
            let body = [UInt8(ascii: "[")] + Array(repeating: event, count: 100).joined(separator: ",".utf8) + "]".utf8
            let limits = try Configuration.load(environment: ["MARTLET_PROFILE": "development"]).events
            return Benchmark.Work(
                run: { count in
                    var path = IngestionHotPath(maximumBytes: 1 << 20)
                    var bytes: UInt64 = 0
                    body.withUnsafeBytes { body in
                        for _ in 0..<count / 100 {
                            bytes += UInt64(path.buildBatch(body, tenant: "default", limits: limits) ?? 0)
                        }
                    }
                    return bytes
                }, expected: { UInt64($0 * (event.count + addedBytes)) })
        },
    ]

/// What a record's value has that the body of its event has not: the time.
private let addedBytes = #","timestamp":"2026-11-21T04:23:00.123Z""#.utf8.count

private func built(_ body: [UInt8], addedBytes: Int) -> Benchmark.Work {
    Benchmark.Work(
        run: { count in
            var path = IngestionHotPath(maximumBytes: 1 << 20)
            var bytes: UInt64 = 0
            body.withUnsafeBytes { body in
                for _ in 0..<count { bytes += UInt64(path.build(body, tenant: "default") ?? 0) }
            }
            return bytes
        }, expected: { UInt64($0 * (body.count + addedBytes)) })
}
