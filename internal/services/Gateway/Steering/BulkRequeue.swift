internal import HTTPSending
internal import HTTPServing
internal import JSONScanning
internal import Logs
internal import Records
internal import ServiceSupport

/// Which dead letters are to be requeued, as a request's body says it.
struct BulkOrder: Equatable, Sendable {
    static let limits = 1...10_000
    static let usualLimit = 1_000

    /// What webhooks, types and reasons are asked for by.
    static let filterExpectation = "a text of 1 to 1,024 bytes without NUL"
    static func isFilter(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 1_024 && !text.utf8.contains(0)
    }

    /// As observability takes them.
    var query: [String: String] = [:]
    var isDryRun: Bool
    var limit: Int

    /// Throws `JSONFieldError` or `HTTPProblem`, naming the field.
    init(_ body: JSONValue) throws {
        var fields = try JSONFields(body)
        for (name, parameter) in [("webhook_id", "webhook_id"), ("type", "event_type"), ("reason", "reason")] {
            guard let text = try fields.string(name) else { continue }
            guard Self.isFilter(text) else {
                throw JSONFieldError(path: name, reason: .outOfRange(expected: Self.filterExpectation))
            }
            query[parameter] = text
        }
        for name in ["from", "to"] {
            guard let text = try fields.string(name) else { continue }
            guard milliseconds(rfc3339: text) != nil else {
                throw JSONFieldError(
                    path: name, reason: .outOfRange(expected: "an RFC 3339 time such as 2026-11-21T04:23:00Z"))
            }
            query[name] = text
        }
        let isAll = try fields.boolean("all") ?? false
        isDryRun = try fields.boolean("dry_run") ?? false
        limit = try fields.integer("limit", in: Self.limits) ?? Self.usualLimit
        try fields.refuseOthers()
        guard isAll || !query.isEmpty else {
            throw HTTPProblem(
                status: 422, code: "field_required",
                detail: "Say which: by webhook_id, type, reason, from or to; or all of them, by \"all\": true.",
                field: "all")
        }
        guard !isAll || query.isEmpty else {
            throw HTTPProblem(
                status: 422, code: "field_invalid", detail: "Either all, or those that filters match: remove one.",
                field: "all")
        }
    }
}

/// Requeues many dead letters, newest first: as many as the order allows, a few at a time, for ten seconds at most.
struct BulkRequeue: Sendable {
    private static let pageSize = 200
    private static let concurrency = 16
    private static let patience = Duration.seconds(10)

    let steering: Steering
    let order: BulkOrder
    let caller: Steering.Caller

    /// What has come of it.
    private struct Tally {
        var requeued = 0
        /// By the problem's code.
        var failures: [String: Int] = [:]
        /// Something is away: there is no use in going on.
        var interruption: HTTPProblem?

        var failed: Int { failures.values.reduce(0, +) }

        mutating func add(_ result: Result<Void, HTTPProblem>) {
            switch result {
            case .success: requeued += 1
            case .failure(let problem):
                failures[problem.code, default: 0] += 1
                if problem.status == 503 { interruption = problem }
            }
        }
    }

    /// The answer's JSON. Throws `HTTPProblem`: 503 where something is away and nothing could be done.
    func run() async throws -> [UInt8] {
        let count = try await steering.history.call(
            .get, ["dead-letters", "count"], tenant: caller.tenant, query: order.query, requestID: caller.requestID)
        guard let matched = count["count"]?.integer else { throw HistoryRefusal(status: 200) }
        var tally = Tally()
        if !order.isDryRun { try await requeue(&tally) }
        if let interruption = tally.interruption, tally.requeued == 0 { throw interruption }
        var json = JSONWriter()
        json.object { json in
            json.member("matched", matched)
            json.member("requeued", tally.requeued)
            json.member("failed", tally.failed)
            json.key("failures")
            json.object { json in
                for (code, count) in tally.failures.sorted(by: { $0.key < $1.key }) { json.member(code, count) }
            }
            json.member("dry_run", order.isDryRun)
        }
        return json.bytes
    }

    private func requeue(_ tally: inout Tally) async throws {
        let deadline = ContinuousClock.now + Self.patience
        var left = order.limit
        var cursor: String?
        repeat {
            do {
                let (letters, next) = try await page(min(left, Self.pageSize), after: cursor)
                try await requeue(letters, until: deadline, &tally)
                left -= letters.count
                cursor = next
            } catch let problem as HTTPProblem {
                // What has been done is told all the same.
                tally.interruption = problem
            }
        } while left > 0 && cursor != nil && tally.interruption == nil && ContinuousClock.now < deadline
    }

    private func page(_ size: Int, after cursor: String?) async throws -> ([KnownDelivery], next: String?) {
        var query = order.query
        query["limit"] = "\(size)"
        query["cursor"] = cursor
        let page = try await steering.history.call(
            .get, ["dead-letters"], tenant: caller.tenant, query: query, requestID: caller.requestID)
        return (try (page["data"]?.elements ?? []).map { try KnownDelivery($0) }, page["next"]?.text)
    }

    private func requeue(
        _ letters: [KnownDelivery], until deadline: ContinuousClock.Instant, _ tally: inout Tally
    ) async throws {
        var isThere: [String: Bool] = [:]
        for id in Set(letters.map(\.webhookID)) { isThere[id] = try await steering.hasWebhook(id, caller) }
        await withTaskGroup(of: Result<Void, HTTPProblem>.self) { group in
            var running = 0
            for letter in letters {
                if running == Self.concurrency, let result = await group.next() {
                    tally.add(result)
                    running -= 1
                }
                guard tally.interruption == nil, ContinuousClock.now < deadline else { break }
                guard isThere[letter.webhookID] == true else {
                    tally.add(.failure(Steering.webhookGone))
                    continue
                }
                group.addTask { await requeue(letter) }
                running += 1
            }
            for await result in group { tally.add(result) }
        }
    }

    private func requeue(_ letter: KnownDelivery) async -> Result<Void, HTTPProblem> {
        do {
            _ = try await steering.requeue(letter, caller)
            return .success(())
        } catch let problem as HTTPProblem {
            return .failure(problem)
        } catch {
            steering.logger.error("a dead letter cannot be requeued", metadata: [LogKey.error: "\(error)"])
            return .failure(HTTPProblem(status: 500, code: "internal", detail: "See the log."))
        }
    }
}
