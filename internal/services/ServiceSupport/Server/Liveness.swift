public import EventLoops
internal import Synchronization

/// Whether a service's threads still run: what its watchdog says, asked for at each `GET /health`. A process that is stuck does not
/// mend itself, so whoever watches it is to start it anew.
public final class Liveness: Sendable {
    /// Why the process has to be started anew, for people; nil: it need not. Must not wait for anything.
    public typealias Probe = @Sendable () -> String?

    private let probes = Mutex<[Probe]>([])

    public init() {}

    public func register(_ probe: @escaping Probe) { probes.withLock { $0.append(probe) } }

    /// What is stuck; empty: nothing.
    public var problems: [String] { probes.withLock { $0 }.compactMap { $0() } }
}

/// Shows that an event loop's thread still turns. Beaten by that thread, read by any.
public final class Heartbeat: Sendable {
    private static let intervalMs: UInt64 = 250

    /// Whose it is, for people.
    public let name: String
    private let last: Atomic<UInt64>

    /// Beats from now on, until the loop ends.
    public init(_ name: String, of loop: EventLoop) {
        self.name = name
        last = Atomic(EventLoop.monotonicNanoseconds())
        loop.execute { [self] in beat(on: loop) }
    }

    private func beat(on loop: EventLoop) {
        last.store(loop.now, ordering: .relaxed)
        loop.after(milliseconds: Self.intervalMs) { [weak self, unowned loop] in self?.beat(on: loop) }
    }

    /// Why the process has to be started anew: the thread has been silent for longer than `limit`.
    public func problem(limit: Duration) -> String? {
        let now = EventLoop.monotonicNanoseconds()
        let silent = Duration.nanoseconds(now - min(now, last.load(ordering: .relaxed)))
        return silent > limit ? "the thread \(name) has not turned for \(silent.components.seconds) s" : nil
    }
}
