internal import CGRPC
internal import Synchronization

/// One call of a client. Cancelled from anywhere, at any time; ended once.
///
///     new ─┬─ run ──► running ──► ended
///          └─ cancel ─────────────► ended (never sent)
final class ClientCall: Sendable {
    typealias Outcome = Result<GRPCMessage, GRPCStatus>

    private enum Phase {
        case new
        case running(Handle)
        case ended
    }

    private struct State {
        var phase = Phase.new
        var continuation: CheckedContinuation<Outcome, Never>?
    }

    private let state = Mutex(State())

    func run(
        on channel: Handle, method: String, request: [UInt8], metadata: GRPCMetadata, timeoutMs: Int64
    ) async -> Outcome {
        await withCheckedContinuation { continuation in
            let refusal = state.withLock { state -> GRPCStatus? in
                guard case .new = state.phase else { return GRPCStatus(.cancelled, "the call was cancelled") }
                // The reply may come before `start` returns: it waits for this lock then.
                guard let call = start(channel, method, request, metadata, timeoutMs) else {
                    state.phase = .ended
                    return GRPCStatus(.internal, "gRPC refused the call")
                }
                state.phase = .running(call)
                state.continuation = continuation
                return nil
            }
            if let refusal { continuation.resume(returning: .failure(refusal)) }
        }
    }

    func cancel() {
        state.withLock { state in
            switch state.phase {
            case .new: state.phase = .ended
            case .running(let call): cgrpc_call_cancel(call.pointer)
            case .ended: break
            }
        }
    }

    private func start(
        _ channel: Handle, _ method: String, _ request: [UInt8], _ metadata: GRPCMetadata, _ timeoutMs: Int64
    ) -> Handle? {
        let context = Unmanaged.passRetained(self)
        let call = withLent(method) { method in
            withLent(request) { request in
                metadata.withLent { entries, count in
                    cgrpc_call_start(
                        channel.pointer, method, timeoutMs, request, entries, count, context.toOpaque()
                    ) { context, result in
                        Unmanaged<ClientCall>.fromOpaque(context).takeRetainedValue().end(result.pointee)
                    }
                }
            }
        }
        if call == nil { context.release() }
        return call.map { Handle($0) }
    }

    /// Queue thread. The call is freed when this returns: nobody may cancel it from here on.
    private func end(_ result: cgrpc_result) {
        let outcome = Self.outcome(of: result)
        let continuation = state.withLock { state in
            state.phase = .ended
            defer { state.continuation = nil }
            return state.continuation
        }
        continuation?.resume(returning: outcome)
    }

    private static func outcome(of result: cgrpc_result) -> Outcome {
        let metadata = GRPCMetadata(copying: result.trailing)
        let code = GRPCStatus.Code(rawValue: result.status) ?? .unknown
        guard code == .ok else {
            return .failure(GRPCStatus(code, result.details.text, metadata: metadata))
        }
        guard let message = result.message, let bytes = copyMessage(message) else {
            return .failure(GRPCStatus(.internal, "the reply carries no readable message"))
        }
        return .success(GRPCMessage(bytes, metadata: metadata))
    }
}
