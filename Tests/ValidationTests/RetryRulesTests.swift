import Records
import Testing

@testable import Validation

@Suite struct RetryRulesTests {
    private func problems(_ change: (inout WebhookRetry) -> Void) -> [String] {
        var fields = WebhookFields()
        var retry = WebhookRetry()
        change(&retry)
        fields.retry = retry
        return WebhookRules(allowsLoopback: false).problems(in: fields).map { "\($0.field) \($0.code.text)" }
    }

    @Test func whatTheSystemCouldHaveAWebhookMayHave() {
        #expect(problems { _ in } == [])
        #expect(problems { $0.scheduleMs = [100, 604_800_000] } == [])
        #expect(problems { $0.scheduleMs = Array(repeating: 100, count: 50) } == [])
        for (initial, multiplier, longest, retries) in [
            (100, 1, 100, 0), (86_400_000, 100, 604_800_000, 100), (5_000, 1.5, 3_600_000, 12),
        ] as [(Int64, Double, Int64, UInt32)] {
            let found = problems {
                $0.initialDelayMs = initial
                $0.backoffMultiplier = multiplier
                $0.maxDelayMs = longest
                $0.maxRetries = retries
            }
            #expect(found == [])
        }
        #expect(problems { $0.maxRetries = 0 } == [])
    }

    @Test func delaysOfAScheduleAreBounded() {
        #expect(
            problems { $0.scheduleMs = [99, 100, 604_800_001, -1, .min, .max] } == [
                "retry.schedule_ms[0] field_invalid", "retry.schedule_ms[2] field_invalid",
                "retry.schedule_ms[3] field_invalid", "retry.schedule_ms[4] field_invalid",
                "retry.schedule_ms[5] field_invalid",
            ])
        #expect(
            problems { $0.scheduleMs = Array(repeating: 1, count: 51) } == ["retry.schedule_ms field_invalid"])
    }

    @Test func exponentialKeysAreBounded() {
        for value: Int64 in [.min, -1, 0, 99, 86_400_001, .max] {
            #expect(problems { $0.initialDelayMs = value } == ["retry.initial_delay_ms field_invalid"])
        }
        for value in [-.infinity, -1, 0.999, 100.1, .infinity, .nan] {
            #expect(problems { $0.backoffMultiplier = value } == ["retry.backoff_multiplier field_invalid"])
        }
        for value: Int64 in [.min, 99, 604_800_001, .max] {
            #expect(problems { $0.maxDelayMs = value } == ["retry.max_delay_ms field_invalid"])
        }
        #expect(problems { $0.maxRetries = 101 } == ["retry.max_retries field_invalid"])
    }

    @Test func theLongestDelayIsNoShorterThanTheFirst() {
        let found = problems {
            $0.initialDelayMs = 2_000
            $0.maxDelayMs = 1_999
        }
        #expect(found == ["retry.max_delay_ms field_invalid"])
        // Beside the system's it is the dispatcher's to make sense of.
        #expect(problems { $0.maxDelayMs = 100 } == [])
    }

    @Test func aScheduleExcludesTheOthers() {
        let changes: [(inout WebhookRetry) -> Void] = [
            { $0.initialDelayMs = 1_000 }, { $0.backoffMultiplier = 2 }, { $0.maxDelayMs = 1_000 },
            { $0.maxRetries = 0 },
        ]
        for change in changes {
            let found = problems {
                $0.scheduleMs = [1_000]
                change(&$0)
            }
            #expect(found == ["retry field_invalid"])
        }
    }
}
