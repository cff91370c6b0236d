/// What the server itself answers with.
extension HTTPProblem {
    static let hostMissing = HTTPProblem(
        status: 400, code: "host_missing", detail: "An HTTP/1.1 request needs a Host header.", field: "Host")

    static let ambiguousLength = HTTPProblem(
        status: 400, code: "length_ambiguous",
        detail: "Send one Content-Length, or Transfer-Encoding: chunked without one.", field: "Content-Length")

    static let headerFolded = HTTPProblem(
        status: 400, code: "header_invalid", detail: "A header goes over several lines: send it on one.")

    static func bodyTooLarge(_ count: Int, _ limit: Int) -> HTTPProblem {
        HTTPProblem(
            status: 413, code: "too_large", detail: "The body has \(count) bytes; at most \(limit) are taken.")
    }

    static let handlerTimedOut = HTTPProblem(
        status: 504, code: "timeout", detail: "The request took too long; try again.", retryAfter: 1)

    static func methodNotAllowed(_ methods: [String]) -> HTTPProblem {
        let allowed = Set(methods).sorted().joined(separator: ", ")
        var problem = HTTPProblem(
            status: 405, code: "method_not_allowed", detail: "This path answers \(allowed) only.")
        problem.headers["allow"] = allowed
        return problem
    }
}
