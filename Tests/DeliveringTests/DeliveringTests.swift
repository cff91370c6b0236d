import Testing

@testable import Delivering

@Suite struct ClassificationTests {
    private static let table: [(Int, String, Effects)] = [
        (200, "delivered", []), (204, "delivered", []), (299, "delivered", []), (301, "unknown", []),
        (304, "unknown", []), (400, "unknown", []), (404, "unknown", []), (408, "retryable", []),
        (410, "permanent", .gone), (413, "permanent", []), (425, "retryable", []), (429, "retryable", .overloaded),
        (500, "retryable", []), (503, "retryable", .overloaded), (505, "permanent", []), (599, "retryable", []),
        (100, "unknown", []), (999, "unknown", []), (0, "unknown", []),
    ]

    @Test(arguments: table)
    func everyStatusHasItsMeaning(status: Int, expected: String, effects: Effects) {
        let (verdict, seen) = ClassificationRules.standard.classify(.answered(status: status, retryAfter: nil))
        #expect("\(verdict)".hasPrefix(expected))
        #expect(seen == effects)
        if verdict != .delivered { #expect(verdict.reason == "status_\(status)") }
    }

    @Test func whatIsNoFaultOfTheEndpointIsParked() {
        for failure in TransportFailure.allCases {
            let (verdict, effects) = ClassificationRules.standard.classify(.failed(failure))
            let isParked = failure == .noDescriptors || failure == .interrupted
            #expect((verdict == .parked(reason: failure.reason)) == isParked)
            #expect(verdict != .delivered)
            #expect(effects.contains(.overloaded) == (failure == .timeout))
        }
        #expect(Set(TransportFailure.allCases.map(\.reason)).count == TransportFailure.allCases.count)
    }
}

@Suite struct RetryAfterTests {
    @Test(arguments: [
        ("0", Int64(0)), ("120", 120_000), (" 7 ", 7_000), ("Sun, 06 Nov 1994 08:49:37 GMT", 7_000),
        ("Sun, 06 Nov 1994 08:49:00 GMT", 0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("99999999999999999999999", .max),
    ])
    func isRead(field: String, expected: Int64) {
        #expect(retryAfterMs(field, now: 784_111_770_000) == expected)
    }

    @Test(arguments: ["", "-1", "1.5", "soon", "12 h", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nox 1994 08:49:37 GMT"])
    func otherThingsAreIgnored(field: String) { #expect(retryAfterMs(field, now: 0) == nil) }

    @Test func leapDaysAreRight() {
        #expect(retryAfterMs("Thu, 29 Feb 2024 00:00:00 GMT", now: 0) == 1_709_164_800_000)
        #expect(retryAfterMs("Fri, 01 Mar 2024 00:00:00 GMT", now: 0) == 1_709_251_200_000)
    }
}

@Suite struct ShortQueueTests {
    @Test func isBoundedInBytesAndTime() {
        var queue = ShortQueue<Int>(bounds: .init(bytes: 100, wait: 10))
        let fits = [
            queue.append(1, bytes: 60, now: 0), queue.append(2, bytes: 41, now: 0), queue.append(3, bytes: 40, now: 5),
        ]
        #expect(fits == [true, false, true])
        #expect(queue.bytes == 100)
        let expired = [queue.popExpired(now: 9), queue.popExpired(now: 10), queue.popExpired(now: 14)]
        #expect(expired == [nil, 1, nil])
        let rest = [queue.popFirst(), queue.popFirst()]
        #expect(rest == [3, nil])
        #expect(queue.isEmpty && queue.bytes == 0)
    }

    @Test func keepsItsOrderOverManyEntries() {
        var queue = ShortQueue<Int>(bounds: .init(bytes: .max, wait: 10))
        var next = 0
        for number in 0..<1_000 {
            let fits = queue.append(number, bytes: 1, now: 0)
            #expect(fits)
            if number % 3 != 0 {
                let first = queue.popFirst()
                #expect(first == next)
                next += 1
            }
        }
        while let number = queue.popFirst() {
            #expect(number == next)
            next += 1
        }
        #expect(next == 1_000)
    }
}

@Suite struct ResolverHealthTests {
    @Test func oneHostIsToBlameUntilMostFail() {
        var health = ResolverHealth(window: 100, minimum: 3)
        let alone = [
            health.failed(host: "a", now: 0), health.failed(host: "a", now: 1), health.failed(host: "b", now: 2),
        ]
        #expect(alone == [false, false, false])
        health.reached(host: "d", now: 2)
        let most = health.failed(host: "c", now: 3)
        #expect(most)
        for host in ["e", "f", "g"] { health.reached(host: host, now: 4) }
        let few = health.failed(host: "c", now: 5)
        #expect(!few)
        let longAfter = health.failed(host: "c", now: 200)
        #expect(!longAfter)
    }
}
