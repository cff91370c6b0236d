import GRPC
import HTTPServing
import JSONScanning
import Records
import ServiceSupport
import Testing
import WireFormat

@testable import Gateway

@Suite struct MappingTests {
    private func told(_ code: GRPCStatus.Code, _ problems: [RequestProblem] = []) -> HTTPProblem? {
        var status = GRPCStatus(code, "inner text")
        if !problems.isEmpty { status.metadata.append(problemsMetadataKey, bytes: RequestProblems(problems).encoded()) }
        return HTTPProblem(status, headers: [.init(name: "X-A", value: "1"), .init(name: "X-B", value: "2")])
    }

    @Test func whatTheRegistrySaysIsToldInTheAPIsWords() throws {
        let missing = try #require(told(.notFound, [RequestProblem(.notFound, "there is no webhook with this id")]))
        #expect(missing.status == 404 && missing.code == "not_found" && missing.field == nil)
        let stale = try #require(told(.aborted, [RequestProblem(.versionMismatch, "it is at 3")]))
        #expect(stale.status == 412 && stale.code == "version_mismatch")
        let full = try #require(told(.resourceExhausted, [RequestProblem(.tooManyWebhooks, "10000 are allowed")]))
        #expect(full.status == 409 && full.code == "too_many_webhooks")
        let wrong = try #require(
            told(
                .invalidArgument,
                [
                    RequestProblem(field: "headers[1].value", .fieldInvalid, "has a line break"),
                    RequestProblem(field: "url", .fieldInvalid, "is too long"),
                ]))
        #expect(wrong.status == 422 && wrong.field == "headers.X-B")
        #expect(wrong.detail == "headers.X-B: has a line break; url: is too long")
        // A position that the request does not have is told as it came.
        let odd = told(.invalidArgument, [RequestProblem(field: "headers[2]", .fieldInvalid, "is odd")])
        #expect(odd?.field == "headers[2]")
    }

    @Test func whatMayPassByItselfIsATimeToWait() throws {
        for code in [GRPCStatus.Code.unavailable, .deadlineExceeded, .cancelled, .resourceExhausted] {
            let problem = try #require(told(code))
            #expect(problem.status == 503 && problem.code == "unavailable" && (problem.retryAfter ?? 0) > 0)
            #expect(!problem.detail.contains("inner text"))
        }
    }

    @Test func whatIsOurOwnFaultIsNotTold() {
        for code in [GRPCStatus.Code.internal, .unauthenticated, .permissionDenied, .unimplemented, .unknown] {
            #expect(told(code) == nil)
        }
    }

    @Test func absenceNullAndValueAreThreeThings() throws {
        func fields(_ text: String, _ purpose: WebhookBody.Purpose) throws -> WebhookFields {
            try WebhookBody.fields(JSONValue(parsing: Array(text.utf8)), for: purpose)
        }
        var expected = WebhookFields()
        #expect(try fields("{}", .change) == expected)
        expected.enabled = true
        expected.description = ""
        expected.headers = []
        #expect(try fields(#"{"enabled":null,"description":null,"headers":null}"#, .change) == expected)
        expected = WebhookFields()
        expected.url = "u"
        expected.eventTypes = ["a"]
        #expect(try fields(#"{"url":"u","event_types":["a"],"enabled":null}"#, .creation) == expected)
        expected.enabled = true
        expected.headers = []
        expected.description = ""
        expected.timeoutMs = 0
        expected.maxInFlight = 7
        expected.ratePerSecond = 0
        expected.hubSignature = false
        expected.retry = WebhookRetry()
        #expect(try fields(#"{"url":"u","event_types":["a"],"max_in_flight":7}"#, .replacement) == expected)
        for key in ["url", "event_types"] {
            #expect(throws: JSONFieldError(path: key, reason: .missing)) { try fields("{\"\(key)\":null}", .change) }
        }
    }

    @Test func aRetryPolicyIsReadAsAWhole() throws {
        func retry(_ text: String) throws -> WebhookRetry? {
            try WebhookBody.fields(JSONValue(parsing: Array("{\"retry\":\(text)}".utf8)), for: .change).retry
        }
        var expected = WebhookRetry()
        #expect(try retry("null") == expected)
        #expect(try retry("{}") == expected)
        #expect(try WebhookBody.fields(.object(JSONObject()), for: .change).retry == nil)
        expected.scheduleMs = [10_000, 30_000]
        #expect(try retry(#"{"schedule_ms":[10000,30000]}"#) == expected)
        expected = WebhookRetry()
        expected.initialDelayMs = 1_000
        expected.backoffMultiplier = 1.5
        expected.maxDelayMs = 604_800_000
        expected.maxRetries = 0
        let text = #"{"initial_delay_ms":1000,"backoff_multiplier":1.5,"max_delay_ms":604800000,"max_retries":0}"#
        #expect(try retry(text) == expected)
        var writer = JSONWriter()
        expected.write(json: &writer)
        #expect(String(decoding: writer.bytes, as: UTF8.self) == text)
    }

    @Test func whatIsNotPlainIsEncoded() {
        #expect(percentEncoded("azAZ09-._~") == "azAZ09-._~")
        #expect(percentEncoded("a/b?c=d&e %ä\u{1}") == "a%2Fb%3Fc%3Dd%26e%20%25%C3%A4%01")
    }

    @Test func usernamesLookLikeNothingElse() {
        for name in ["a", "admin", "j.doe+test@example.org", String(repeating: "x", count: 128)] {
            #expect(User.isUsername(name), "\(name)")
        }
        for name in ["", "Admin", "a b", "a\n", "ä", "a\u{0}", String(repeating: "x", count: 129)] {
            #expect(!User.isUsername(name), "\(name)")
        }
    }
}
