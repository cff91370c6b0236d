import Editing
import Records
import Testing

@Suite struct WebhookEditingTests {
    private func webhook(secrets: [(name: UInt8, expires: Int64)] = []) -> Webhook {
        var webhook = Webhook()
        webhook.id = "wh_1"
        webhook.version = 3
        webhook.url = "https://example.org/"
        webhook.eventTypes = ["a"]
        webhook.headers = [.init(name: "X", value: "1")]
        webhook.timeoutMs = 500
        webhook.maxInFlight = 7
        webhook.ratePerSecond = 50
        webhook.paused = true
        webhook.description = "d"
        webhook.hubSignature = true
        webhook.secrets = secrets.map { entry in secret(entry.name, entry.expires) }
        return webhook
    }

    private func secret(_ name: UInt8, _ expires: Int64 = 0) -> SealedSecret {
        var secret = SealedSecret()
        secret.sealed = [name]
        secret.expiresAtMs = expires
        return secret
    }

    @Test func absentFieldsStayAsTheyAre() {
        #expect(webhook().applying(WebhookFields()) == webhook())
        var fields = WebhookFields()
        fields.description = ""
        fields.headers = []
        fields.timeoutMs = 0
        let changed = webhook().applying(fields)
        #expect(changed.description == "" && changed.headers.isEmpty && changed.timeoutMs == 0)
        #expect(changed.url == webhook().url && changed.maxInFlight == 7 && changed.hubSignature)
        #expect(changed.ratePerSecond == 50 && changed.paused)
        fields.ratePerSecond = 0
        fields.paused = false
        #expect(webhook().applying(fields).ratePerSecond == 0 && !webhook().applying(fields).paused)
    }

    @Test func aRetryPolicyIsReplacedAsAWholeAndAnEmptyOneIsNone() {
        var fields = WebhookFields()
        var first = WebhookRetry()
        first.maxRetries = 3
        fields.retry = first
        let own = webhook().applying(fields)
        #expect(own.retry == first)
        #expect(own.applying(WebhookFields()) == own)
        var second = WebhookRetry()
        second.scheduleMs = [1_000]
        fields.retry = second
        #expect(own.applying(fields).retry == second)
        fields.retry = WebhookRetry()
        #expect(own.applying(fields) == webhook())
    }

    @Test func enablingForgetsTheReason() {
        var disabled = webhook()
        disabled.enabled = false
        disabled.disabledReason = "gone"
        var fields = WebhookFields()
        fields.enabled = false
        #expect(disabled.applying(fields) == disabled)
        fields.enabled = true
        #expect(disabled.applying(fields) == webhook())
    }

    @Test func rotationKeepsTheOldSecretsForTheOverlap() throws {
        let rotated = try webhook(secrets: [(1, 0), (2, 1_500), (3, 9_000), (4, 900)])
            .rotating(to: secret(9), now: 1_000, overlapMs: 2_000)
        #expect(rotated.secrets.map(\.sealed) == [[9], [1], [2], [3]])
        #expect(rotated.secrets.map(\.expiresAtMs) == [0, 3_000, 1_500, 3_000])
        let alone = try webhook(secrets: [(1, 0), (2, 1_500)]).rotating(to: secret(9), now: 1_000, overlapMs: 0)
        #expect(alone.secrets == [secret(9)])
    }

    @Test func secretsAreBounded() throws {
        var webhook = webhook(secrets: [(0, 0)])
        for number in 1..<5 { webhook = try webhook.rotating(to: secret(UInt8(number)), now: 0, overlapMs: 100) }
        #expect(webhook.secrets.count == Webhook.maximumSecrets)
        let error = #expect(throws: RequestProblem.self) {
            try webhook.rotating(to: secret(9), now: 50, overlapMs: 100)
        }
        #expect(error?.code == .tooManySecrets)
        #expect(try webhook.rotating(to: secret(9), now: 100, overlapMs: 100).secrets.count == 2)
        #expect(try webhook.rotating(to: secret(9), now: 50, overlapMs: 0).secrets.count == 1)
    }

    @Test func whatIsShownHasNoSealedBytes() {
        let shown = webhook(secrets: [(1, 5)]).withoutSealedSecrets
        #expect(shown.secrets.map(\.sealed) == [[]])
        #expect(shown.secrets.map(\.expiresAtMs) == [5])
    }
}
