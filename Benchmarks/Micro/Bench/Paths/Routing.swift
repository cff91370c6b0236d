import Dispatching
import Records
import Routing
import ServiceSupport

/// One event against many webhooks. Each event goes to two of them, whatever their number: one that wants exactly its type, one
/// that wants all types of its area. Types follow one another in no order, so that what they need is seldom in the cache.
let routingBenchmarks: [Benchmark] =
    [(100, "100"), (10_000, "10k"), (100_000, "100k"), (1_000_000, "1M")].map { count, name in
        Benchmark("route.index/\(name)", operations: 20_000, webhooks: count) {
            let patterns = (0..<count).map(pattern)
            let index = RoutingIndex(patterns: patterns)
            let types = typesOf(count)
            return routed(types) { type in
                var found = 0
                type.withUnsafeBytes { type in index.match(type) { _ in found += 1 } }
                return found
            }
        }
    }
    + [
        Benchmark("route.table/100", operations: 20_000, webhooks: 100) { try tableWork(100, tenants: 1) },
        Benchmark("route.table/100k", operations: 20_000, webhooks: 100_000) { try tableWork(100_000, tenants: 1) },
        Benchmark("route.tenants/100k", operations: 20_000, webhooks: 100_000) {
            try tableWork(100_000, tenants: 10_000)
        },
    ]

/// Of ten webhooks one takes a whole area, the others one type of it each.
private func pattern(_ number: Int) -> [String] {
    number % 10 == 0 ? ["area\(number).*"] : ["area\(number / 10 * 10).item\(number).done"]
}

/// Types that exist, from all over; a power of two of them.
private func typesOf(_ count: Int) -> [[UInt8]] {
    (0..<4_096).map { number in
        let place = Int(UInt64(number) &* 0x9e37_79b9_7f4a_7c15 % UInt64(count)) / 10 * 10 + 1 + number % 9
        return Array("area\(place / 10 * 10).item\(place).done".utf8)
    }
}

private func routed<Type>(_ types: [Type], _ match: @escaping (Type) -> Int) -> Benchmark.Work {
    Benchmark.Work(
        run: { count in
            var found = 0
            for number in 0..<count { found += match(types[number & 4_095]) }
            return UInt64(found)
        }, expected: { UInt64($0 * 2) })
}

/// The dispatcher's own table. Each tenant has equally many webhooks.
private func tableWork(_ count: Int, tenants: Int) throws -> Benchmark.Work {
    let configuration = try Configuration.load(environment: ["MARTLET_PROFILE": "development"])
    let sealer = try SecretSealer(configuration.sealing)
    let each = count / tenants
    let webhooks = try (0..<count).map { number in
        var webhook = Webhook()
        webhook.id = "wh_\(number)"
        webhook.tenant = "tenant-\(number / each)"
        webhook.version = 1
        webhook.url = "https://hooks.example.com/\(number)"
        webhook.eventTypes = pattern(number % each)
        webhook.secrets = [try sealer.seal(Array("a-secret-of-thirty-two-bytes-abc".utf8), of: webhook.id)]
        return webhook
    }
    let path = try DispatchingHotPath(WebhookSnapshot(webhooks), configuration)
    let types = typesOf(each).enumerated().map { number, type in
        (tenant: "tenant-\(number * 7 % tenants)", type: String(decoding: type, as: UTF8.self))
    }
    return routed(types) { path.route(tenant: $0.tenant, type: $0.type) }
}
