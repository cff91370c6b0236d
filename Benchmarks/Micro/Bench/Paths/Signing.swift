import StandardWebhooks

/// The value of `webhook-signature`.
let signingBenchmarks: [Benchmark] =
    Sample.sizes.map { size in
        Benchmark("sign/\(size.name)", operations: size.operations) {
            // The keys of many endpoints in turn, as it is in a worker.
            let keys = try (0..<64).map { number in
                WebhookSigningKeys(secrets: [try WebhookSecret(key: [UInt8](repeating: UInt8(number + 1), count: 32))])
            }
            return try signed(Sample.eventBody(bytes: size.bytes), keys)
        }
    } + [
        Benchmark("sign/2-secrets", operations: 20_000) {
            let secrets = try [1, 2].map { try WebhookSecret(key: [UInt8](repeating: $0, count: 32)) }
            return try signed(
                Sample.eventBody(bytes: 500), Array(repeating: WebhookSigningKeys(secrets: secrets), count: 64))
        }
    ]

private func signed(_ body: [UInt8], _ keys: [WebhookSigningKeys]) throws -> Benchmark.Work {
    let id = Array("ord-20261121-0000042".utf8)
    let now: Int64 = 1_795_000_000
    // What other signers make of the same: their own code is compared with other implementations by the tests.
    let text = String(decoding: id, as: UTF8.self)
    let codes = try keys.map { try WebhookSigner().sign(id: text, timestampSeconds: now, body: body, keys: $0) }
    let sums = codes.map { $0.utf8.reduce(UInt64(0)) { $0 &* 31 &+ UInt64($1) } }
    return Benchmark.Work(
        run: { count in
            guard let signer = try? WebhookSigner() else { return 0 }
            var output: [UInt8] = []
            var sum: UInt64 = 0
            id.withUnsafeBytes { id in
                body.withUnsafeBytes { body in
                    for number in 0..<count {
                        output.removeAll(keepingCapacity: true)
                        try? signer.sign(
                            id: id, timestampSeconds: now, body: body, keys: keys[number & 63], appendingTo: &output)
                        // All of them at least once; to add up each would be measured too.
                        if number < 64 { sum &+= output.reduce(UInt64(0)) { $0 &* 31 &+ UInt64($1) } }
                        sum &+= UInt64(output.count)
                    }
                }
            }
            return sum
        },
        expected: { count in
            (0..<count).reduce(UInt64(0)) { $0 &+ ($1 < 64 ? sums[$1] : 0) &+ UInt64(codes[$1 & 63].utf8.count) }
        })
}
