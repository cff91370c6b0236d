internal import CLinux
internal import Cryptography
internal import HTTPServing
internal import Logs
internal import Postgres
internal import Records
internal import ServiceSupport

/// The HTTP side of history (docs/internals/history.md): for the gateway, which knows the internal token and passes the tenant.
struct HistoryRoutes: Sendable {
    let queries: HistoryQueries
    /// What callers show as `Authorization: Bearer …`.
    let token: String
    let log: Logger

    var routes: [HTTPRoute] {
        [
            route("/internal/v1/events/{id}", event),
            route("/internal/v1/deliveries/{id}", delivery),
            route("/internal/v1/webhooks/{id}/attempts", attempts),
            route("/internal/v1/webhooks/{id}/stats", stats),
        ]
    }

    /// What is known of a request once it may ask: who, and for what.
    private struct Question {
        var id: String
        var tenant: String
        var request: HTTPRequest

        /// A parameter of the query, where it occurs once or not at all.
        func parameter(_ name: String) throws(HTTPProblem) -> String? {
            let values = request.queryItems.filter { $0.name == name }.map(\.value)
            guard values.count <= 1 else { throw .wrong(name, "is given more than once") }
            return values.first
        }

        func integer(_ name: String, in range: ClosedRange<Int>, default fallback: Int) throws(HTTPProblem) -> Int {
            guard let text = try parameter(name) else { return fallback }
            guard let number = Int(text), range.contains(number) else {
                throw .wrong(name, "must be a number from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
    }

    private func route(
        _ pattern: String, _ answer: @escaping @Sendable (Question) async throws -> [UInt8]
    ) -> HTTPRoute {
        HTTPRoute("GET", pattern) { request in
            do {
                return .json(try await answer(try question(request)))
            } catch let problem as HTTPProblem {
                return problem.response
            } catch {
                return failed(error, request).response
            }
        }
    }

    private func question(_ request: HTTPRequest) throws(HTTPProblem) -> Question {
        let shown = Array((request.header("authorization") ?? "").utf8)
        guard constantTimeEqual(shown, Array("Bearer \(token)".utf8)) else {
            throw HTTPProblem(status: 401, code: "unauthorized", detail: "the internal token is missing or wrong")
        }
        var question = Question(id: request.parameters["id"] ?? "", tenant: "", request: request)
        guard let tenant = try question.parameter("tenant"), !tenant.isEmpty else {
            throw HTTPProblem(
                status: 422, code: "field_required", detail: "the query parameter tenant is required", field: "tenant")
        }
        question.tenant = tenant
        // PostgreSQL takes no NUL; no id of ours has one.
        guard !question.id.utf8.contains(0), !tenant.utf8.contains(0) else { throw Self.notFound }
        return question
    }

    private func failed(_ error: any Error, _ request: HTTPRequest) -> HTTPProblem {
        log.warning(
            "a question about history failed",
            metadata: [LogKey.error: "\(error)", LogKey.requestID: "\(request.requestID)"])
        guard let error = error as? PostgresError, error.isConnectionFailure || error.kind == .statementTimeout else {
            return HTTPProblem(status: 500, code: "internal", detail: "the question could not be answered; see the log")
        }
        return HTTPProblem(
            status: 503, code: "unavailable", detail: "history cannot be read at the moment; try again", retryAfter: 2)
    }

    private static let notFound = HTTPProblem(status: 404, code: "not_found", detail: "there is nothing by this id")

    // MARK: Questions

    private func event(_ question: Question) async throws -> [UInt8] {
        let limit = HistoryQueries.maxRows
        let outcomes = try await queries.outcomes(event: question.id, tenant: question.tenant, limit: limit + 1)
        guard !outcomes.isEmpty else {
            throw HTTPProblem(
                status: 404, code: "not_seen_yet",
                detail: "no delivery of this event has an outcome yet; one that matches no webhook never has")
        }
        return HistoryAnswers.event(Array(outcomes.prefix(limit)), truncated: outcomes.count > limit)
    }

    private func delivery(_ question: Question) async throws -> [UInt8] {
        guard let id = DeliveryID(question.id) else { throw Self.notFound }
        let outcomes = try await queries.outcomes(delivery: id, tenant: question.tenant)
        guard !outcomes.isEmpty else { throw Self.notFound }
        return HistoryAnswers.delivery(outcomes)
    }

    private func attempts(_ question: Question) async throws -> [UInt8] {
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
        return HistoryAnswers.attempts(page, next: next)
    }

    private func stats(_ question: Question) async throws -> [UInt8] {
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

extension HTTPProblem {
    fileprivate static func wrong(_ field: String, _ what: String) -> HTTPProblem {
        HTTPProblem(status: 422, code: "field_invalid", detail: "the query parameter \(field) \(what)", field: field)
    }
}
