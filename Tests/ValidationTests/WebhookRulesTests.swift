import Records
import Testing

@testable import Validation

@Suite struct WebhookRulesTests {
    private let rules = WebhookRules(allowsLoopback: false)

    private func problems(_ change: (inout WebhookFields) -> Void) -> [String] {
        var fields = WebhookFields()
        change(&fields)
        return rules.problems(in: fields).map { "\($0.field) \($0.code.text)" }
    }

    private func problems(withHeader name: String, _ value: String) -> [String] {
        problems { $0.headers = [.init(name: name, value: value)] }
    }

    @Test func aNewWebhookNeedsURLAndEventTypes() {
        let missing = rules.problems(inNew: WebhookFields())
        #expect(missing.map(\.field) == ["url", "event_types"])
        #expect(missing.allSatisfy { $0.code == .fieldRequired })
        var fields = WebhookFields()
        fields.url = "https://example.org/"
        fields.eventTypes = ["*"]
        #expect(rules.problems(inNew: fields).isEmpty)
        #expect(rules.problems(in: WebhookFields()).isEmpty)
    }

    @Test func everyProblemIsFound() {
        let found = problems {
            $0.url = "ftp://x"
            $0.eventTypes = ["ok", "not ok", ""]
            $0.headers = [.init(name: "Host", value: "a\r\nb")]
            $0.timeoutMs = 99
            $0.maxInFlight = 10_001
            $0.ratePerSecond = 1_000_001
            $0.description = "\u{0}"
        }
        #expect(
            found == [
                "url field_invalid", "event_types[1] field_invalid", "event_types[2] field_invalid",
                "headers[0].name field_invalid", "headers[0].value field_invalid", "timeout_ms field_invalid",
                "max_in_flight field_invalid", "rate_per_second field_invalid", "description field_invalid",
            ])
    }

    @Test(arguments: [
        "*", "a", "order.created", "order.*", "a.b.c.*", "A-1_x.y", "0", "-", String(repeating: "a", count: 128),
    ])
    func arePatterns(pattern: String) {
        #expect(EventTypes.problem(withPattern: pattern) == nil)
    }

    @Test(arguments: [
        "", ".", ".*", "..*", "*.*", "**", "*.a", "a.*.b", "a*", "a.", ".a", "a..b", "a b", "a\n", "a\r\n.b", "a\u{0}",
        "ä", "a/b",
        "order.**", "order.*.*", "a.\u{FF0A}", String(repeating: "a", count: 129),
    ])
    func areNoPatterns(pattern: String) {
        #expect(EventTypes.problem(withPattern: pattern) != nil)
    }

    @Test func eventTypesAreNoPatterns() {
        #expect(EventTypes.problem(withType: "order.created".utf8) == nil)
        for type in ["", "*", "order.*", "a.", "a..b", "a b", String(repeating: "a", count: 129)] {
            #expect(EventTypes.problem(withType: type.utf8) != nil)
        }
    }

    @Test func eventTypesAreOneToAHundred() {
        #expect(problems { $0.eventTypes = [] } == ["event_types field_invalid"])
        #expect(problems { $0.eventTypes = Array(repeating: "a", count: 100) } == [])
        #expect(problems { $0.eventTypes = Array(repeating: "a", count: 101) } == ["event_types field_invalid"])
    }

    @Test(arguments: [
        "X-Custom-Header", "Authorization", "a", "!#$%&'*+-.^_`|~", "User-Agent", String(repeating: "a", count: 128),
    ])
    func areHeaderNames(name: String) {
        #expect(problems(withHeader: name, "v") == [])
    }

    @Test(arguments: [
        "", " ", "X Y", "X:", ":authority", "X\r\nY", "X\u{0}", "Ä", "(x)", "a/b", "Host", "hOST", "Content-Length",
        "Content-Type",
        "Transfer-Encoding", "Connection", "webhook-id", "Webhook-Anything", "ce-id", "CE-x", "traceparent",
        "X-Hub-Signature-256",
        "Expect", "TE", "Proxy-Authorization", String(repeating: "a", count: 129),
    ])
    func areNoHeaderNames(name: String) {
        #expect(problems(withHeader: name, "v") == ["headers[0].name field_invalid"])
    }

    @Test(arguments: ["", "value", "a b\tc", "Bearer x.y-z", "grün", "\"q\""])
    func areHeaderValues(value: String) {
        #expect(problems(withHeader: "X-A", value) == [])
    }

    @Test(arguments: ["a\r\nb", "a\rb", "a\nb", "\u{0}", "a\u{7f}", "\u{1b}[31m", " a", "a ", "\ta"])
    func areNoHeaderValues(value: String) {
        #expect(problems(withHeader: "X-A", value) == ["headers[0].value field_invalid"])
    }

    @Test func headersAreBoundedAndDistinct() {
        let many = (0..<33).map { Webhook.Header(name: "X-\($0)", value: "") }
        #expect(problems { $0.headers = Array(many.dropLast()) } == [])
        #expect(problems { $0.headers = many } == ["headers field_invalid"])
        let twice: [Webhook.Header] = [.init(name: "X-A", value: "1"), .init(name: "x-a", value: "2")]
        #expect(problems { $0.headers = twice } == ["headers[1].name field_invalid"])
        let large = [Webhook.Header(name: "X", value: String(repeating: "v", count: 8191))]
        #expect(problems { $0.headers = large } == [])
        #expect(problems { $0.headers = large + [.init(name: "Y", value: "")] } == ["headers field_invalid"])
    }

    @Test func aHeaderValueIsNeverRepeated() {
        var fields = WebhookFields()
        fields.headers = [.init(name: "Authorization", value: "Bearer hunter2\n")]
        fields.url = "https://example.org/?key=hunter2#x"
        for problem in rules.problems(in: fields) { #expect(!problem.detail.contains("hunter2")) }
    }

    @Test func numbersHaveRangesAndADefault() {
        for value: UInt32 in [0, 100, 10_000, 30_000] { #expect(problems { $0.timeoutMs = value } == []) }
        for value: UInt32 in [1, 99, 30_001, .max] {
            #expect(problems { $0.timeoutMs = value } == ["timeout_ms field_invalid"])
        }
        for value: UInt32 in [0, 1, 10_000] { #expect(problems { $0.maxInFlight = value } == []) }
        #expect(problems { $0.maxInFlight = 10_001 } == ["max_in_flight field_invalid"])
        for value: UInt32 in [0, 1, 1_000_000] { #expect(problems { $0.ratePerSecond = value } == []) }
        #expect(problems { $0.ratePerSecond = 1_000_001 } == ["rate_per_second field_invalid"])
    }

    @Test func descriptionsAreText() {
        #expect(problems { $0.description = "two\nlines\tand 🐦" } == [])
        #expect(problems { $0.description = String(repeating: "ä", count: 512) } == [])
        for text in [String(repeating: "ä", count: 513), "a\u{0}", "a\u{1b}", "a\u{85}", "a\r"] {
            #expect(problems { $0.description = text } == ["description field_invalid"])
        }
    }

    @Test(arguments: [
        ("default", true), ("a", true), ("0-_", true), (String(repeating: "a", count: 64), true),
        ("", false), ("A", false), ("-a", false), ("_a", false), ("a.b", false), ("ä", false), ("a\n", false),
        (String(repeating: "a", count: 65), false),
    ])
    func tenants(name: String, expected: Bool) {
        #expect(isTenant(name.utf8) == expected)
    }

    @Test func quotedValuesCannotForgeText() {
        #expect("a\r\nb".quoted == "\"a\\r\\nb\"")
        #expect(String(repeating: "ä", count: 100).quoted == "\"\(String(repeating: "ä", count: 32))\"…")
    }
}
