import EventLoops

/// Runs a loop on a thread of its own, for the cooperative pool has few, and awaits its end.
func onThread<Value: Sendable>(_ name: String, _ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        NativeThread.start(name: name) { continuation.resume(with: Result { try body() }) }
    }
}
