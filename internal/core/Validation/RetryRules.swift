internal import Records

/// What a webhook's own retries must be.
enum RetryRules {
    static func problems(in retry: WebhookRetry) -> [RequestProblem] {
        var problems = problems(inSchedule: retry.scheduleMs)
        if !retry.scheduleMs.isEmpty, retry.isExponential {
            problems.append(
                problem(
                    "retry",
                    "has schedule_ms beside initial_delay_ms, backoff_multiplier, max_delay_ms or max_retries; give one or the others"
                ))
        }
        problems += problem("retry.initial_delay_ms", retry.initialDelayMs, WebhookRetry.firstDelayMs)
        problems += problem("retry.backoff_multiplier", retry.backoffMultiplier, WebhookRetry.multiplier)
        problems += problem("retry.max_delay_ms", retry.maxDelayMs, WebhookRetry.delayMs)
        problems += problem("retry.max_retries", retry.maxRetries, WebhookRetry.retries)
        if problems.isEmpty, let first = retry.initialDelayMs, let longest = retry.maxDelayMs, longest < first {
            problems.append(
                problem("retry.max_delay_ms", "is \(longest), expected is no less than initial_delay_ms, \(first)"))
        }
        return problems
    }

    /// Empty is the same as absent.
    private static func problems(inSchedule delays: [Int64]) -> [RequestProblem] {
        guard delays.count <= WebhookRetry.scheduleCount.upperBound else {
            let detail = "has \(delays.count) delays, \(WebhookRetry.scheduleCount.upperBound) are allowed"
            return [problem("retry.schedule_ms", detail)]
        }
        return delays.enumerated().flatMap { index, delay in
            problem("retry.schedule_ms[\(index)]", delay, WebhookRetry.delayMs)
        }
    }

    private static func problem<Value>(
        _ field: String, _ value: Value?, _ range: ClosedRange<Value>
    ) -> [RequestProblem] {
        guard let value, !range.contains(value) else { return [] }
        return [problem(field, "is \(value), expected is \(range.lowerBound) to \(range.upperBound)")]
    }

    private static func problem(_ field: String, _ detail: String) -> RequestProblem {
        RequestProblem(field: field, .fieldInvalid, detail)
    }
}
