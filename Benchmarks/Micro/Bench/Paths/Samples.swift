import Records

/// What the paths work on.
enum Sample {
    /// The body of `POST /events` with about so many bytes: an order with its lines.
    static func eventBody(bytes: Int) -> [UInt8] {
        var body = #"{"type":"order.created","source":"/shop/berlin","id":"ord-20261121-0000042","data":{"order":42,"#
        body += #""customer":{"name":"Grace Hopper","email":"grace@example.com"},"currency":"EUR","lines":["#
        var line = 0
        while body.utf8.count + 120 < bytes || line == 0 {
            if line > 0 { body += "," }
            body +=
                #"{"sku":"SKU-\#(100_000 + line)","title":"Espresso machine, \u00fcber","quantity":\#(line % 9 + 1),"price":129.90}"#
            line += 1
        }
        body += #"],"note":""#
        body += String(repeating: "n", count: max(0, bytes - body.utf8.count - 3)) + #""}}"#
        return Array(body.utf8)
    }

    /// The sizes that the system is measured with.
    static let sizes: [(name: String, bytes: Int, operations: Int)] = [
        ("500B", 500, 20_000), ("2KB", 2_000, 10_000), ("50KB", 50_000, 1_000),
    ]

    /// That of a delivery that succeeded at once.
    static func outcome(requestID: UInt64) -> Outcome {
        var outcome = Outcome()
        outcome.kind = .delivered
        outcome.delivery = DeliveryID(random: 0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210)
        outcome.webhookID = "0192f0c1-1111-7222-8333-444455556666"
        outcome.webhookVersion = 3
        outcome.tenant = "default"
        outcome.eventID = "ord-20261121-0000042"
        outcome.eventType = "order.created"
        (outcome.sourceTopic, outcome.sourcePartition, outcome.sourceOffset) = ("martlet.events", 7, 123_456_789)
        outcome.sourceTimestampMs = 1_795_000_000_000
        outcome.fanOut = 1
        outcome.requestID = requestID
        outcome.attempt = 1
        outcome.startedAtMs = 1_795_000_000_100
        outcome.durationUs = 12_345
        outcome.status = 204
        (outcome.originTopic, outcome.originPartition, outcome.originOffset) = ("martlet.events", 7, 123_456_789)
        outcome.eventTimeMs = 1_795_000_000_000
        return outcome
    }
}
