internal import Cryptography
internal import GRPC
internal import Logs
internal import Postgres
internal import Records
internal import ServiceSupport
internal import WireFormat

/// Binds the handlers to gRPC: who may call, and what errors become.
struct RegistryMethods: Sendable {
    let handlers: RegistryHandlers
    /// What callers must show as `authorization: Bearer …`.
    let token: String
    let logger: Logger

    var methods: GRPCMethods {
        var methods = GRPCMethods()
        let handlers = handlers
        add(RegistryMethod.create, to: &methods) { try await handlers.create($0, $1) }
        add(RegistryMethod.get, to: &methods) { try await handlers.get($0, $1) }
        add(RegistryMethod.list, to: &methods) { try await handlers.list($0, $1) }
        add(RegistryMethod.update, to: &methods) { try await handlers.update($0, $1) }
        add(RegistryMethod.delete, to: &methods) { try await handlers.delete($0, $1) }
        add(RegistryMethod.rotateSecret, to: &methods) { try await handlers.rotateSecret($0, $1) }
        return methods
    }

    private func add<Request: WireMessage & SendableMetatype, Reply: WireMessage & SendableMetatype>(
        _ path: String, to methods: inout GRPCMethods,
        _ handler: @escaping @Sendable (Request, GRPCContext) async throws -> Reply
    ) {
        let expected = Array("Bearer \(token)".utf8)
        methods.handle(path) { (request: Request, context: GRPCContext) -> Reply in
            guard constantTimeEqual(context.metadata[bytes: "authorization"] ?? [], expected) else {
                throw GRPCStatus(.unauthenticated, "the services' token (internal.token) is missing or another one")
            }
            do {
                return try await handler(request, context)
            } catch {
                throw Self.status(of: error)
            }
        }
    }

    /// What a caller learns of an error; what is not listed here it does not.
    static func status(of error: any Error) -> any Error {
        switch error {
        case let problem as RequestProblem: status(of: RequestProblems([problem]))
        case let problems as RequestProblems: status(of: problems)
        case let error as PostgresError where error.kind == .cancelled: GRPCStatus(.cancelled, "the call was cancelled")
        case let error as PostgresError
        where error.isConnectionFailure || error.kind == .statementTimeout || error.kind == .closed:
            GRPCStatus(.unavailable, "the database cannot be reached")
        default: error
        }
    }

    private static func status(of problems: RequestProblems) -> GRPCStatus {
        let text = problems.problems.map(\.description).joined(separator: "; ")
        var status = GRPCStatus(code(of: problems), text)
        // As many as fit: whoever corrects these learns of the others.
        var told = problems
        while told.encoded().count > GRPCMetadata.sizeLimitBytes / 2 { told.problems.removeLast() }
        status.metadata.append(problemsMetadataKey, bytes: told.encoded())
        return status
    }

    private static func code(of problems: RequestProblems) -> GRPCStatus.Code {
        switch problems.problems.first?.code {
        case .notFound: .notFound
        case .versionMismatch: .aborted
        case .tooManyWebhooks, .tooManySecrets: .resourceExhausted
        default: .invalidArgument
        }
    }
}
