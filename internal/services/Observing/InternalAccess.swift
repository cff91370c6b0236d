internal import Cryptography
internal import HTTPServing
internal import JSONScanning
internal import Logs
internal import Postgres
internal import Records
internal import ServiceSupport

/// A request of the gateway's, once it may ask: in whose name, about what.
struct InternalQuestion: Sendable {
    /// Of the path; empty where it has none.
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

    /// PostgreSQL takes no NUL.
    func text(_ name: String) throws(HTTPProblem) -> String? {
        guard let text = try parameter(name) else { return nil }
        guard !text.isEmpty, !text.utf8.contains(0) else { throw .wrong(name, "must be a text without NUL") }
        return text
    }

    /// Where a page of deliveries begins.
    func cursor() throws(HTTPProblem) -> DeliveryCursor? {
        guard let text = try parameter("cursor") else { return nil }
        guard let cursor = DeliveryCursor(text) else { throw .wrong("cursor", "is none that was given out") }
        return cursor
    }

    /// Milliseconds since 1970.
    func time(_ name: String) throws(HTTPProblem) -> Int64? {
        guard let text = try parameter(name) else { return nil }
        guard let time = milliseconds(rfc3339: text) else {
            throw .wrong(name, "must be an RFC 3339 time such as 2026-11-21T04:23:00Z")
        }
        return time
    }

    /// The delivery that the path names.
    func delivery() throws(HTTPProblem) -> DeliveryID {
        guard let id = DeliveryID(id) else { throw .unknownID }
        return id
    }

    /// The fields of the body. Throws `JSONError` and `JSONFieldError`.
    func fields() throws -> JSONFields { try JSONFields(try JSONValue(parsing: request.body)) }
}

/// Routes for the gateway, which knows the internal token and passes the tenant.
struct InternalAccess: Sendable {
    /// What callers show as `Authorization: Bearer …`.
    let token: String
    let log: Logger

    /// A route whose answer may throw `HTTPProblem`, an error of JSON, or `PostgresError`.
    func route(
        _ method: String, _ pattern: String, _ answer: @escaping @Sendable (InternalQuestion) async throws -> [UInt8]
    ) -> HTTPRoute {
        HTTPRoute(method, pattern) { request in
            do {
                return .json(try await answer(try question(request)))
            } catch let problem as HTTPProblem {
                return problem.response
            } catch let error as JSONError {
                return HTTPProblem(error).response
            } catch let error as JSONFieldError {
                return HTTPProblem(error).response
            } catch {
                return failed(error, request).response
            }
        }
    }

    private func question(_ request: HTTPRequest) throws(HTTPProblem) -> InternalQuestion {
        let shown = Array((request.header("authorization") ?? "").utf8)
        guard constantTimeEqual(shown, Array("Bearer \(token)".utf8)) else {
            throw HTTPProblem(status: 401, code: "unauthorized", detail: "the internal token is missing or wrong")
        }
        var question = InternalQuestion(id: request.parameters["id"] ?? "", tenant: "", request: request)
        guard let tenant = try question.parameter("tenant"), !tenant.isEmpty else {
            throw HTTPProblem(
                status: 422, code: "field_required", detail: "the query parameter tenant is required", field: "tenant")
        }
        question.tenant = tenant
        // PostgreSQL takes no NUL; no id of ours has one.
        guard !question.id.utf8.contains(0), !tenant.utf8.contains(0) else { throw .unknownID }
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
}

extension HTTPProblem {
    static let unknownID = HTTPProblem(status: 404, code: "not_found", detail: "there is nothing by this id")

    static func wrong(_ field: String, _ what: String) -> HTTPProblem {
        HTTPProblem(status: 422, code: "field_invalid", detail: "the query parameter \(field) \(what)", field: field)
    }
}
