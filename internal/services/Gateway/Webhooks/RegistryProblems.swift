internal import GRPC
internal import HTTPServing
internal import Records
internal import ServiceSupport
internal import WireFormat

extension HTTPProblem {
    /// What a caller of the API is told of a call to the registry that failed; nil where it is this system's own fault.
    /// - Parameter headers: Those of the request, in their order: the registry names them by position, the API by name.
    init?(_ status: GRPCStatus, headers: [Webhook.Header] = []) {
        switch status.code {
        case .unavailable:
            self = .unavailable("The registry of webhooks cannot be reached; try again.", retryAfter: 2)
        case .deadlineExceeded, .cancelled:
            self = .unavailable(
                "The registry did not answer in time. A change may have been made all the same: look before you repeat it.",
                retryAfter: 2)
        case .resourceExhausted where status.problems.isEmpty:
            self = .unavailable("Too many requests are under way; try again.")
        default:
            let problems = status.problems.map { $0.naming(headers) }
            guard var problem = problems.first else { return nil }
            if problems.count > 1 { problem.detail = problems.map(\.description).joined(separator: "; ") }
            self.init(problem)
        }
    }
}

extension GRPCStatus {
    /// What the registry said is wrong, for programs.
    fileprivate var problems: [RequestProblem] {
        guard let bytes = metadata[bytes: problemsMetadataKey] else { return [] }
        return (try? RequestProblems(decoding: bytes))?.problems ?? []
    }
}

extension RequestProblem {
    /// `headers[2].value` → `headers.X-Team`: in JSON, headers are an object.
    fileprivate func naming(_ headers: [Webhook.Header]) -> RequestProblem {
        let prefix = "headers["
        guard field.hasPrefix(prefix), let end = field.firstIndex(of: "]"),
            let index = Int(field.dropFirst(prefix.count).prefix(upTo: end)), headers.indices.contains(index)
        else { return self }
        var named = self
        named.field = "headers.\(headers[index].name)"
        return named
    }
}
