import Records
import Testing

@testable import Routing

@Suite struct RoutingTests {
    private func matches(_ patterns: [[String]], _ type: String) -> [Int] {
        var type = type
        var found: [Int] = []
        let index = RoutingIndex(patterns: patterns)
        type.withUTF8 { bytes in index.match(UnsafeRawBufferPointer(bytes)) { found.append($0) } }
        return found.sorted()
    }

    @Test(arguments: [
        ("order.created", [0, 1, 3, 4]), ("order.item.added", [1, 2, 3]), ("order", [3]), ("order.", [3]),
        ("orders.created", [3]),
        ("", [3]), ("user.created", [3, 5]), ("order.item.", [1, 3]),
    ])
    func matchesExactPrefixAndAll(type: String, expected: [Int]) {
        let patterns = [
            ["order.created"], ["order.*"], ["order.item.*"], ["*"], ["order.created", "order.deleted"],
            ["user.*", "user.created"],
        ]
        #expect(matches(patterns, type) == expected)
    }

    @Test func overlappingFiltersFindAWebhookOnce() {
        #expect(matches([["a.*", "a.b.*", "a.b.c", "*", "a.b.c"]], "a.b.c") == [0])
        #expect(matches([["a.*", "a.b.*", "a.b.c"]], "a.b.c") == [0])
        #expect(matches([["a.b.c", "a.b.c"]], "a.b.c") == [0])
    }

    /// The index against the definition, over random filters and types of few letters so that they meet often.
    @Test(arguments: 0..<200) func agreesWithTheDefinition(seed: UInt64) {
        var generator = SplitMix(state: seed)
        func word() -> String {
            (0..<Int.random(in: 1...3, using: &generator)).map { _ in ["a", "b"].randomElement(using: &generator)! }
                .joined(separator: ".")
        }
        let patterns = (0..<20).map { _ in
            (0..<Int.random(in: 1...3, using: &generator)).map { _ in
                [word(), word() + ".*", "*"][Int.random(in: 0...9, using: &generator) / 4]
            }
        }
        for _ in 0..<20 {
            let type = word()
            let expected = patterns.indices.filter { position in
                patterns[position].contains { pattern in
                    pattern == "*" || pattern == type || (pattern.hasSuffix(".*") && type.hasPrefix(pattern.dropLast()))
                }
            }
            #expect(matches(patterns, type) == expected, "seed \(seed), type \(type)")
        }
    }

    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = state
            mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
            return mixed ^ mixed >> 31
        }
    }

    @Test func olderVersionsAreIgnored() {
        func webhook(_ id: String, _ version: UInt64, tenant: String = "t") -> Webhook {
            var webhook = Webhook()
            webhook.id = id
            webhook.tenant = tenant
            webhook.version = version
            return webhook
        }
        var versions = WebhookVersions()
        #expect(versions.apply(webhook("b", 2)) == ["t"])
        #expect(versions.apply(webhook("b", 1)).isEmpty)
        #expect(versions.apply(webhook("b", 2)).isEmpty)
        #expect(versions.apply(webhook("a", 1)) == ["t"])
        #expect(versions.webhooks(of: "t").map(\.id) == ["a", "b"])
        #expect(versions.apply(webhook("a", 2, tenant: "u")) == ["t", "u"])
        #expect(versions.webhooks(of: "t").map(\.id) == ["b"])
        #expect(versions.remove("b") == ["t"])
        #expect(versions.remove("b").isEmpty)
        #expect(Array(versions.tenants) == ["u"])
        #expect(versions.count == 1)
    }
}
