internal import EventLoops
import Glibc
import Synchronization

/// A TCP proxy on 127.0.0.1 that can be told to misbehave; two threads per connection, blocking sockets.
public final class FaultProxy: Sendable {
    public enum Fault: Sendable, Equatable {
        case none
        /// Connections are reset, and new ones too.
        case cut
        /// Nothing passes, and nobody is told.
        case stalled
        /// What the server answers is swallowed; what it is told arrives.
        case answersLost
        /// Each piece waits, in milliseconds.
        case delayed(Int)
        /// A byte at a time, with a pause of 1 ms.
        case dripping
    }

    private struct State {
        var fault = Fault.none
        var peers: Set<Int32> = []
    }

    public let port: UInt16
    private let target: UInt16
    private let listener: Int32
    private let state = Mutex(State())

    public init(to target: UInt16) throws {
        self.target = target
        let bound = try boundSocket()
        guard listen(bound.descriptor, 128) == 0 else { throw SystemError(call: "listen", code: errno) }
        listener = bound.descriptor
        port = bound.port
        NativeThread.start(name: "fault-proxy") { [self] in acceptAll() }
    }

    /// From now on.
    public func set(_ fault: Fault) {
        let cut = state.withLock { state in
            state.fault = fault
            return fault == .cut ? state.peers : []
        }
        for peer in cut { shutdown(peer, Int32(SHUT_RDWR)) }
    }

    private var fault: Fault { state.withLock { $0.fault } }

    public func close() {
        set(.cut)
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private func acceptAll() {
        while true {
            let peer = accept(listener, nil, nil)
            guard peer >= 0 else { break }
            NativeThread.start(name: "fault-peer") { [self] in serve(peer) }
        }
        Glibc.close(listener)
    }

    private func serve(_ peer: Int32) {
        defer { Glibc.close(peer) }
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { Glibc.close(server) }
        guard fault != .cut, connectToTarget(server) else { return Self.reset(peer) }
        for descriptor in [peer, server] { Self.setNoDelay(descriptor) }
        state.withLock { $0.peers.formUnion([peer, server]) }
        let answers = Flag()
        NativeThread.start(name: "fault-answers") { [self] in
            pump(from: server, to: peer, isAnswer: true)
            answers.isDone.withLock { $0 = true }
        }
        pump(from: peer, to: server, isAnswer: false)
        // The other thread uses both descriptors until it has ended.
        while !answers.isDone.withLock({ $0 }) { usleep(1_000) }
        state.withLock { $0.peers.subtract([peer, server]) }
    }

    private final class Flag: Sendable {
        let isDone = Mutex(false)
    }

    /// Until either side ends; then both do.
    private func pump(from source: Int32, to sink: Int32, isAnswer: Bool) {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = recv(source, &buffer, buffer.count, 0)
            guard count > 0, pass(buffer[..<count], to: sink, isAnswer) else { break }
        }
        shutdown(source, Int32(SHUT_RDWR))
        shutdown(sink, Int32(SHUT_RDWR))
    }

    private func pass(_ bytes: ArraySlice<UInt8>, to sink: Int32, _ isAnswer: Bool) -> Bool {
        while fault == .stalled { usleep(5_000) }
        switch fault {
        case .cut: return false
        case .answersLost where isAnswer: return true
        case .delayed(let milliseconds):
            usleep(UInt32(milliseconds) * 1_000)
            return Self.write(bytes, to: sink)
        case .dripping:
            for byte in bytes {
                guard Self.write([byte], to: sink) else { return false }
                usleep(1_000)
            }
            return true
        default: return Self.write(bytes, to: sink)
        }
    }

    // MARK: Sockets

    private func connectToTarget(_ descriptor: Int32) -> Bool {
        sockaddr_in("127.0.0.1", port: target).withPointer { connect(descriptor, $0, $1) } == 0
    }

    private static func setNoDelay(_ descriptor: Int32) {
        var yes: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func reset(_ descriptor: Int32) {
        var now = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    }

    private static func write(_ bytes: ArraySlice<UInt8>, to sink: Int32) -> Bool {
        var left = bytes
        while !left.isEmpty {
            let count = left.withUnsafeBytes { send(sink, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            left = left.dropFirst(count)
        }
        return true
    }
}
