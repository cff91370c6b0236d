internal import Delivering
internal import JSONScanning
internal import Records

/// How deliveries stand, by their outcomes, and the answers' JSON (docs/internals/history.md).
enum HistoryAnswers {
    /// An event, by its outcomes in order; empty ones are no event.
    /// - Parameter truncated: There are more outcomes than given.
    static func event(_ outcomes: [StoredOutcome], truncated: Bool) -> [UInt8] {
        var deliveries: [DeliveryID: [StoredOutcome]] = [:]
        var order: [DeliveryID] = []
        /// The webhooks that each record of the event was routed to; a crash can make two different answers of one record.
        var fanOut: [StoredOutcome.Place: Int64] = [:]
        for outcome in outcomes {
            if deliveries[outcome.delivery] == nil { order.append(outcome.delivery) }
            deliveries[outcome.delivery, default: []].append(outcome)
            if outcome.isOfOrigin { fanOut[outcome.origin] = max(fanOut[outcome.origin] ?? 0, outcome.fanOut) }
        }
        let expected = fanOut.values.reduce(0, +)
        let seen = deliveries.values.count { $0.contains(where: \.isOfOrigin) }
        var json = JSONWriter(reserving: 512 * order.count + 256)
        json.object { json in
            json.member("id", outcomes[0].eventID)
            json.member("type", outcomes[0].eventType)
            json.key("time")
            json.time(outcomes[0].eventTime)
            json.member("fan_out", expected)
            json.member("pending", max(0, expected - Int64(seen)))
            json.member("truncated", truncated)
            json.key("deliveries")
            json.array { json in
                for id in order { json.object { DeliverySummary(deliveries[id] ?? [])?.write(to: &$0) } }
            }
        }
        return json.bytes
    }

    /// A delivery alone.
    /// - Parameters:
    ///   - attempts: Its outcomes in order; nil: they are left out.
    ///   - rules: what failures mean.
    ///   - now: Milliseconds since 1970.
    static func delivery(
        _ summary: DeliverySummary, attempts: [StoredOutcome]?, rules: ClassificationRules, now: Int64
    ) -> [UInt8] {
        var json = JSONWriter(reserving: 800 + 300 * (attempts?.count ?? 0))
        json.object { json in
            summary.write(to: &json)
            summary.writeOutlook(to: &json, now: now)
            guard let attempts else { return }
            json.key("attempts")
            json.array { json in
                for outcome in attempts { json.object { write(attempt: outcome, rules, &$0) } }
            }
        }
        return json.bytes
    }

    /// A page of deliveries, each with what follows.
    static func deliveries(_ summaries: [DeliverySummary], next: DeliveryCursor?, now: Int64) -> [UInt8] {
        var json = JSONWriter(reserving: 800 * summaries.count + 100)
        json.object { json in
            json.key("data")
            json.array { json in
                for summary in summaries {
                    json.object { json in
                        summary.write(to: &json)
                        summary.writeOutlook(to: &json, now: now)
                    }
                }
            }
            json.optional("next", next?.text)
        }
        return json.bytes
    }

    /// - Parameter rules: what failures mean.
    static func attempts(
        _ outcomes: [StoredOutcome], next: HistoryCursor?, rules: ClassificationRules
    ) -> [UInt8] {
        var json = JSONWriter(reserving: 400 * outcomes.count + 100)
        json.object { json in
            json.key("data")
            json.array { json in
                for outcome in outcomes {
                    json.object { json in
                        json.member("delivery_id", outcome.delivery.description)
                        json.member("event_id", outcome.eventID)
                        json.member("event_type", outcome.eventType)
                        write(attempt: outcome, rules, &json)
                    }
                }
            }
            json.optional("next", next?.text)
        }
        return json.bytes
    }

    static func stats(_ stats: WebhookStats, webhook: String, from: Int64, to: Int64) -> [UInt8] {
        var json = JSONWriter(reserving: 512)
        json.object { json in
            json.member("webhook_id", webhook)
            json.key("from")
            json.time(from)
            json.key("to")
            json.time(to)
            json.member("window_s", (to - from) / 1_000)
            json.member("requests", stats.requests)
            json.key("outcomes")
            json.object { json in
                for (kind, count) in stats.outcomes { json.member(kind.name, count) }
            }
            json.key("success_rate")
            stats.successRate.map { json.double($0) } ?? json.null()
            json.key("latency_ms")
            if let mean = stats.mean, stats.percentiles.count == 5 {
                json.object { write(latency: stats.percentiles, mean: mean, &$0) }
            } else {
                json.null()
            }
            json.member("open", stats.open)
        }
        return json.bytes
    }

    private static func write(latency: [Int64], mean: Double, _ json: inout JSONWriter) {
        json.key("mean")
        json.double((mean / 10).rounded() / 100)
        for (name, microseconds) in zip(["p50", "p90", "p95", "p99", "max"], latency) {
            json.key(name)
            json.double(Double(microseconds) / 1_000)
        }
    }

    private static func write(_ cause: FailureCause, _ rules: ClassificationRules, _ json: inout JSONWriter) {
        let words = FailureExplanation(cause)
        json.object { json in
            json.member("class", rules.failureClass(of: cause).rawValue)
            json.member("type", words.type.rawValue)
            json.member("explanation", words.explanation)
            json.member("suggested_fix", words.suggestedFix)
        }
    }

    /// The members of an attempt, without its braces.
    private static func write(attempt: StoredOutcome, _ rules: ClassificationRules, _ json: inout JSONWriter) {
        json.member("outcome", attempt.kind.name)
        json.member("attempt", attempt.attempt)
        json.member("generation", attempt.generation)
        json.optional("status", attempt.status)
        json.optional("reason", attempt.reason)
        json.key("error")
        if let cause = attempt.cause { write(cause, rules, &json) } else { json.null() }
        json.key("started_at")
        json.time(attempt.at)
        json.key("duration_ms")
        if attempt.hasRequest { json.double(Double(attempt.durationUs) / 1_000) } else { json.null() }
        json.key("response")
        attempt.response.map { json.string(bytes: $0) } ?? json.null()
        json.optional(time: "due_at", attempt.dueAt)
        json.key("record")
        json.place(attempt.record)
    }
}
