internal import CGRPC
internal import Synchronization

/// gRPC core's own error messages: failed handshakes, refused connections. They are dropped unless someone asks for them.
public enum GRPCLog {
    private static let receiver = Mutex<(@Sendable (String) -> Void)?>(nil)

    /// Hands each message to `receive`, from any thread, for the whole process.
    public static func forward(to receive: @escaping @Sendable (String) -> Void) {
        receiver.withLock { $0 = receive }
        cgrpc_set_log { message in
            let receive = GRPCLog.receiver.withLock { $0 }
            receive?(String(cString: message))
        }
    }
}
