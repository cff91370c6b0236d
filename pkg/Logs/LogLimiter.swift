internal import CLinux
internal import Synchronization

/// Lets one of a repeated event's lines through per interval and counts those left out: an error that every record of an outage
/// meets is said once, with its number.
public final class LogLimiter: Sendable {
    private struct State {
        var next: UInt64 = 0
        var suppressed = 0
    }

    private let intervalNs: UInt64
    private let clock: @Sendable () -> UInt64
    private let state = Mutex(State())

    public convenience init(every interval: Duration = .seconds(10)) {
        self.init(every: interval, clock: clinux_monotonic_ns)
    }

    /// - Parameter clock: Nanoseconds that never go back.
    init(every interval: Duration, clock: @escaping @Sendable () -> UInt64) {
        let (seconds, attoseconds) = interval.components
        intervalNs = UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
        self.clock = clock
    }

    /// Nil where the line is to be left out; else how many were since the last one.
    func admit() -> Int? {
        let now = clock()
        return state.withLock { state in
            guard now >= state.next else {
                state.suppressed += 1
                return nil
            }
            state.next = now + intervalNs
            defer { state.suppressed = 0 }
            return state.suppressed
        }
    }
}
