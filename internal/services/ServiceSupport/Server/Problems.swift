public import HTTPServing
public import JSONScanning
public import Logs
public import Records

extension HTTPProblem {
    /// The body is no JSON.
    public init(_ error: JSONError) {
        self.init(status: 400, code: "invalid_json", detail: "The body is not valid JSON: \(error).")
    }

    /// A field of the body is not as it should be.
    public init(_ error: JSONFieldError) {
        let field = error.path.isEmpty ? nil : error.path
        switch error.reason {
        case .missing:
            self.init(status: 422, code: "field_required", detail: "\(error.path) is required.", field: field)
        case .unknown:
            self.init(
                status: 422, code: "unknown_field", detail: "There is no field \(error.path): remove it.", field: field)
        case .wrongType(let expected, let found):
            let name = field ?? "the body"
            self.init(
                status: 422, code: "field_invalid", detail: "Expected \(name) to be \(expected), found \(found).",
                field: field)
        case .outOfRange(let expected):
            self.init(
                status: 422, code: "field_invalid", detail: "Expected \(error.path) to be \(expected).", field: field)
        }
    }

    /// What the domain finds wrong.
    public init(_ problem: RequestProblem) {
        let status =
            switch problem.code {
            case .notFound: 404
            case .versionMismatch: 412
            case .tooManyWebhooks, .tooManySecrets: 409
            default: 422
            }
        self.init(
            status: status, code: problem.code.text, detail: problem.detail,
            field: problem.field.isEmpty ? nil : problem.field)
    }

    public static func unauthorized(_ detail: String) -> HTTPProblem {
        var problem = HTTPProblem(status: 401, code: "unauthorized", detail: detail)
        problem.headers["www-authenticate"] = "Bearer"
        return problem
    }

    public static func forbidden(_ detail: String) -> HTTPProblem {
        HTTPProblem(status: 403, code: "forbidden", detail: detail)
    }

    public static func notFound(_ detail: String) -> HTTPProblem {
        HTTPProblem(status: 404, code: "not_found", detail: detail)
    }

    /// Something that this service stands on is away.
    public static func unavailable(_ detail: String, retryAfter: Int = 1) -> HTTPProblem {
        HTTPProblem(status: 503, code: "unavailable", detail: detail, retryAfter: retryAfter)
    }
}

extension HTTPRoute {
    /// A route whose handler may throw: an `HTTPProblem` is answered as such, errors of JSON and of the domain as the problems they are, anything else is
    /// logged and answered with 500, without its text.
    public init(
        _ method: String, _ pattern: String, logger: Logger,
        throwing handler: @escaping @Sendable (HTTPRequest) async throws -> HTTPResponse
    ) {
        self.init(method, pattern) { request in
            do {
                return try await handler(request)
            } catch let problem as HTTPProblem {
                return problem.response
            } catch let error as JSONError {
                return HTTPProblem(error).response
            } catch let error as JSONFieldError {
                return HTTPProblem(error).response
            } catch let error as RequestProblem {
                return HTTPProblem(error).response
            } catch {
                logger.error(
                    "request failed",
                    metadata: [
                        LogKey.requestID: "\(request.requestID)", LogKey.method: "\(method)", LogKey.path: "\(pattern)",
                        LogKey.error: "\(error)",
                    ])
                return HTTPProblem(
                    status: 500, code: "internal",
                    detail: "Something went wrong here; the log has it under this request's id, \(request.requestID)."
                ).response
            }
        }
    }
}
