import Testing

@testable import Delivering

@Suite struct AdmissionTests {
    private static func facts(_ change: (inout AdmissionFacts) -> Void) -> AdmissionFacts {
        var facts = AdmissionFacts()
        change(&facts)
        return facts
    }

    private static let unknown = Admission.park(.parked(reason: "webhook_unknown"))

    private static let table: [(AdmissionFacts, Admission)] = [
        (facts { _ in }, .send),
        (facts { $0.generation = 12 }, .send),
        (facts { $0.webhook = .disabled }, .park(WebhookHold.disabled.verdict)),
        (facts { ($0.webhook, $0.generation) = (.disabled, 99) }, .park(WebhookHold.disabled.verdict)),
        (facts { $0.webhook = .absent }, unknown),
        (facts { ($0.webhook, $0.generation) = (.absent, 1) }, unknown),
        (facts { ($0.webhook, $0.generation) = (.absent, 2) }, .giveUp(reason: "webhook_deleted")),
        (facts { $0.ageMs = 1_000 }, .send),
        (facts { $0.ageMs = 1_001 }, .giveUp(reason: "expired")),
        (facts { $0.ageMs = -1 }, .send),
        (facts { ($0.ageMs, $0.webhook) = (1_001, .disabled) }, .giveUp(reason: "expired")),
        (facts { $0.defect = "ce_id_missing" }, .giveUp(reason: "ce_id_missing")),
        // A record that is gone has no attributes either: that it is gone is the reason.
        (facts { ($0.isPayloadLost, $0.defect) = (true, "ce_id_missing") }, .giveUp(reason: "payload_lost")),
        (facts { ($0.isPayloadLost, $0.ageMs) = (true, 1_001) }, .giveUp(reason: "payload_lost")),
        (facts { $0.isCancelled = true }, .cancel),
        (
            facts {
                ($0.isCancelled, $0.isPayloadLost, $0.ageMs, $0.webhook) = (true, true, 1_001, .absent)
            }, .cancel
        ),
    ]

    @Test(arguments: table) func theFirstRuleThatHoldsDecides(facts: AdmissionFacts, expected: Admission) {
        #expect(Admission(facts, maxAgeMs: 1_000) == expected)
    }
}
