import Testing
import WireFormat

@testable import Records

@Suite struct MessageTests {
    private func full() -> Outcome {
        var outcome = Outcome()
        outcome.kind = .failed
        outcome.delivery = DeliveryIdentity(logID: "l", topic: "t", partition: 1).id(
            offset: 1, timestamp: 2, webhook: "w")
        outcome.parent = DeliveryIdentity(logID: "l", topic: "t", partition: 1).id(
            offset: 3, timestamp: 2, webhook: "w")
        outcome.webhookID = "wh_1"
        outcome.tenant = "acme"
        outcome.eventID = "e\u{0}1"
        outcome.eventType = "order.created"
        outcome.sourceTopic = "events"
        outcome.sourcePartition = 15
        outcome.sourceOffset = .max
        outcome.sourceTimestampMs = -1
        outcome.fanOut = 3
        outcome.requestID = .max
        outcome.attempt = 2
        outcome.generation = 4
        outcome.startedAtMs = 1_700_000_000_000
        outcome.durationUs = 12_345
        outcome.status = 503
        outcome.reason = "status"
        outcome.response = [0, 255, 13]
        outcome.recordTopic = "retries"
        outcome.recordOffset = 99
        outcome.dueAtMs = 1_700_000_005_000
        outcome.originTopic = "events"
        outcome.originPartition = 2
        outcome.originOffset = 5
        outcome.webhookVersion = 8
        outcome.eventTimeMs = 1_699_999_999_999
        outcome.spans = [.init(first: 0, last: 4), .init(first: 9, last: 9)]
        outcome.failure = "timeout"
        return outcome
    }

    @Test func anOutcomeComesBackAsItWent() throws {
        #expect(try Outcome(decoding: full().encoded()) == full())
        #expect(try Outcome(decoding: Outcome().encoded()) == Outcome())
        #expect(Outcome().encoded().isEmpty)
    }

    @Test func aCutOutcomeIsRefusedOrShorterButNeverATrap() {
        let bytes = full().encoded()
        for count in 0..<bytes.count {
            let cut = try? Outcome(decoding: Array(bytes[..<count]))
            #expect(cut != full())
        }
    }

    @Test func aWebhookComesBackAsItWent() throws {
        var webhook = Webhook()
        webhook.id = "wh_1"
        webhook.tenant = "acme"
        webhook.version = 3
        webhook.url = "https://example.org/ä"
        webhook.eventTypes = ["a", "", "*"]
        webhook.headers = [.init(name: "X-A", value: ""), .init(name: "X-B", value: "b")]
        webhook.enabled = false
        webhook.disabledReason = "gone"
        var secret = SealedSecret()
        secret.keyID = "k1"
        secret.sealed = [1, 2, 3]
        secret.kind = .ed25519
        secret.expiresAtMs = 5
        webhook.secrets = [secret, SealedSecret()]
        webhook.timeoutMs = 10_000
        webhook.maxInFlight = 128
        webhook.ratePerSecond = 50
        webhook.paused = true
        webhook.failingSinceMs = 7
        webhook.description = "d"
        webhook.hubSignature = true
        webhook.createdAtMs = 1
        webhook.updatedAtMs = 2
        #expect(try Webhook(decoding: webhook.encoded()) == webhook)
        var retry = WebhookRetry()
        webhook.retry = retry
        #expect(try Webhook(decoding: webhook.encoded()) == webhook)
        retry.scheduleMs = [100, 604_800_000, -1]
        retry.initialDelayMs = 0
        retry.backoffMultiplier = 1.5
        retry.maxDelayMs = .max
        retry.maxRetries = 0
        webhook.retry = retry
        #expect(try Webhook(decoding: webhook.encoded()) == webhook)
    }

    @Test func anEmptyRetryPolicyIsTheSystems() {
        var retry = WebhookRetry()
        #expect(retry.isEmpty && !retry.isExponential)
        retry.maxRetries = 0
        #expect(!retry.isEmpty && retry.isExponential)
        retry.maxRetries = nil
        retry.scheduleMs = [100]
        #expect(!retry.isEmpty && !retry.isExponential)
    }

    @Test func aSecretSignsUntilItExpires() {
        var secret = SealedSecret()
        #expect(secret.isActive(at: .max))
        secret.expiresAtMs = 10
        #expect(secret.isActive(at: 9))
        #expect(!secret.isActive(at: 10))
    }

    @Test func aSignalComesBackAsItWent() throws {
        var signal = Signal()
        signal.kind = .gone
        signal.webhookID = "wh_1"
        signal.tenant = "t"
        signal.webhookVersion = 2
        signal.atMs = 3
        #expect(try Signal(decoding: signal.encoded()) == signal)
    }
}
