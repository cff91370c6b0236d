import Editing
import Records
import Testing

/// What signals make of a webhook of version 3, and what its tenant is told.
@Suite struct WebhookSignalTests {
    private static let day: Int64 = 86_400_000
    private static let now: Int64 = 1_800_000_000_000

    private func webhook(failingFor: Int64? = nil) -> Webhook {
        var webhook = Webhook()
        webhook.id = "wh_1"
        webhook.version = 3
        webhook.url = "https://example.org/"
        webhook.failingSinceMs = failingFor.map { Self.now - $0 } ?? 0
        return webhook
    }

    private func signal(_ kind: Signal.Kind, version: UInt64 = 3, since: Int64 = 0, at: Int64 = now) -> Signal {
        var signal = Signal()
        (signal.kind, signal.webhookID, signal.webhookVersion) = (kind, "wh_1", version)
        (signal.atMs, signal.sinceMs) = (at, since)
        return signal
    }

    private func told(_ before: Webhook, _ signal: Signal, after days: Int64 = 5) -> String {
        guard let after = before.applying(signal, disableAfterMs: days * Self.day) else { return "nothing" }
        let event = OperationalEvent(from: before, to: after).map { "\($0)" } ?? "untold"
        return event
            + (after.enabled ? after.failingSinceMs == 0 ? "" : " since \(Self.now - after.failingSinceMs)" : "")
    }

    @Test func goneDisables() throws {
        #expect(told(webhook(), signal(.gone)) == "disabled")
        #expect(told(webhook(), signal(.gone, version: 4)) == "disabled")
        #expect(told(webhook(), signal(.gone, version: 2)) == "nothing")
        let disabled = try #require(webhook().applying(signal(.gone), disableAfterMs: 0))
        #expect(disabled.disabledReason.contains("410") && !disabled.enabled)
        #expect(told(disabled, signal(.gone)) == "nothing")
        var other = signal(.gone)
        other.webhookID = "wh_2"
        #expect(told(webhook(), other) == "nothing")
        #expect(told(webhook(), signal(.unspecified)) == "nothing")
    }

    @Test func lastingFailureIsNotedThenDisables() throws {
        let hour: Int64 = 3_600_000
        let fresh = signal(.failingSince, since: Self.now - hour)
        #expect(told(webhook(), fresh) == "failing since \(hour)")
        #expect(told(webhook(), signal(.failingSince, version: 2, since: Self.now - hour)) == "nothing")
        // The first report counts, whichever dispatcher it came from.
        #expect(told(webhook(failingFor: Self.day), fresh) == "nothing")
        #expect(told(webhook(failingFor: 5 * Self.day - 1), fresh) == "nothing")
        #expect(told(webhook(failingFor: 5 * Self.day), fresh) == "disabled")
        #expect(told(webhook(failingFor: 500 * Self.day), fresh, after: 0) == "nothing")
        #expect(told(webhook(), signal(.failingSince, since: Self.now - 6 * Self.day)) == "disabled")
        let disabled = webhook(failingFor: 6 * Self.day).applying(fresh, disableAfterMs: 5 * Self.day)
        #expect(disabled?.disabledReason == "every request failed for 144 h" && disabled?.failingSinceMs == 0)
    }

    @Test func aLaterSuccessEndsIt() {
        #expect(told(webhook(failingFor: 10), signal(.recovered)) == "recovered")
        // A success of any version; one before the first failure says nothing.
        #expect(told(webhook(failingFor: 10), signal(.recovered, version: 1)) == "recovered")
        #expect(told(webhook(failingFor: 10), signal(.recovered, at: Self.now - 10)) == "nothing")
        #expect(told(webhook(), signal(.recovered)) == "nothing")
    }

    @Test func anotherURLAndEnablingForgetTheFailures() {
        var fields = WebhookFields()
        fields.description = "d"
        #expect(webhook(failingFor: 10).applying(fields).failingSinceMs != 0)
        fields.enabled = true
        fields.url = "https://example.org/"
        #expect(webhook(failingFor: 10).applying(fields).failingSinceMs != 0)
        fields.url = "https://example.org/b"
        #expect(webhook(failingFor: 10).applying(fields).failingSinceMs == 0)
        fields = WebhookFields()
        fields.enabled = false
        #expect(webhook(failingFor: 10).applying(fields).failingSinceMs == 0)
    }

    @Test func aWebhookIsNotToldAboutItself() {
        for event in OperationalEvent.allCases {
            #expect(OperationalEvent.isAbout("wh_1", type: event.rawValue, subject: "wh_1"))
            #expect(!OperationalEvent.isAbout("wh_1", type: event.rawValue, subject: "wh_2"))
        }
        #expect(!OperationalEvent.isAbout("wh_1", type: "order.created", subject: "wh_1"))
    }
}
