internal import CLinux
internal import Delivering
internal import HTTPServing
internal import Records

/// The HTTP side of history (docs/internals/history.md): for the gateway, which knows the internal token and passes the tenant.
struct HistoryRoutes: Sendable {
    let queries: HistoryQueries
    let access: InternalAccess
    let rules: ClassificationRules

    var routes: [HTTPRoute] {
        [
            access.route("GET", "/internal/v1/events/{id}", event),
            access.route("GET", "/internal/v1/webhooks/{id}/attempts", attempts),
            access.route("GET", "/internal/v1/webhooks/{id}/stats", stats),
        ]
    }

    // MARK: Questions

    private func event(_ question: InternalQuestion) async throws -> [UInt8] {
        let limit = HistoryQueries.maxRows
        let outcomes = try await queries.outcomes(event: question.id, tenant: question.tenant, limit: limit + 1)
        guard !outcomes.isEmpty else {
            throw HTTPProblem(
                status: 404, code: "not_seen_yet",
                detail: "no delivery of this event has an outcome yet; one that matches no webhook never has")
        }
        return HistoryAnswers.event(Array(outcomes.prefix(limit)), truncated: outcomes.count > limit)
    }

    private func attempts(_ question: InternalQuestion) async throws -> [UInt8] {
        let limit = try question.integer("limit", in: 1...500, default: 50)
        let cursor = try question.parameter("cursor").map { (text) throws(HTTPProblem) in
            guard let cursor = HistoryCursor(text) else { throw .wrong("cursor", "is none that was given out") }
            return cursor
        }
        let kind = try question.parameter("outcome").map { (text) throws(HTTPProblem) in
            let kinds = Outcome.Kind.allCases.filter { $0 != .unspecified && $0 != .covered }
            guard let kind = kinds.first(where: { $0.name == text }) else {
                throw .wrong("outcome", "must be one of " + kinds.map(\.name).joined(separator: ", "))
            }
            return kind
        }
        let outcomes = try await queries.outcomes(
            webhook: question.id, tenant: question.tenant, kind: kind, before: cursor, limit: limit + 1)
        let page = Array(outcomes.prefix(limit))
        let next = outcomes.count > limit ? page.last.map(HistoryCursor.init) : nil
        return HistoryAnswers.attempts(page, next: next, rules: rules)
    }

    private func stats(_ question: InternalQuestion) async throws -> [UInt8] {
        let window = try question.integer("window", in: 60...259_200, default: 3_600)
        let to = clinux_realtime_ms()
        let from = to - Int64(window) * 1_000
        let stats = try await queries.stats(webhook: question.id, tenant: question.tenant, from: from, to: to)
        return HistoryAnswers.stats(stats, webhook: question.id, from: from, to: to)
    }
}

extension HistoryCursor {
    fileprivate init(_ outcome: StoredOutcome) {
        self.init(at: outcome.at, partition: outcome.logPartition, offset: outcome.logOffset)
    }
}
