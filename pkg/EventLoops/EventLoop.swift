internal import CLinux
internal import Glibc
internal import Synchronization

/// What a watched descriptor can do without blocking.
public struct Readiness: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let readable = Readiness(rawValue: 1)
    public static let writable = Readiness(rawValue: 2)
    /// Error or hang-up: reported whether it was asked for or not, always together with what was asked for, so that
    /// a handler that only reads or writes meets the error there.
    public static let closed = Readiness(rawValue: 4)
}

/// A failed system call.
public struct SystemError: Error, CustomStringConvertible, Equatable {
    public let call: String
    public let code: Int32
    public init(call: String, code: Int32) {
        self.call = call
        self.code = code
    }
    public var description: String { "\(call): \(String(cString: strerror(code)))" }
}

/// One thread's event loop: descriptors, timers, and work from other threads, over epoll.
///
/// Everything except `execute` and `stop` belongs to the thread that runs the loop, and so does whatever the handlers
/// touch: that is what keeps hot paths free of locks. A loop can be *nested* in a foreign one (h2o's): the outer loop
/// watches `descriptor` for reading and calls `poll()` when it is ready. Timers are a timerfd for that reason.
///
/// `@unchecked Sendable` because a reference to it may be handed to other threads for those two calls; the state they touch is
/// behind `mailbox`'s lock or is a descriptor.
public final class EventLoop: @unchecked Sendable {
    public typealias Handler = (Readiness) -> Void

    private struct Registration {
        var generation: UInt32
        var handler: Handler?
    }

    private let epoll: Int32
    private let wakeup: Int32
    private let clock: Int32
    /// Indexed by descriptor; a slot's generation outlives its registration, so that an event already fetched for a
    /// descriptor that was closed and reused meanwhile is recognised as stale.
    private var registrations: [Registration] = []
    private var timers = TimerHeap()
    private var armedDeadline: UInt64 = .max
    private let mailbox = Mutex<[@Sendable () -> Void]>([])
    private let stopping = Atomic<Bool>(false)
    private var turnHandlers: [() -> Void] = []

    /// The monotonic clock in nanoseconds, read once per turn: one "now" for every decision of a step.
    public private(set) var now: UInt64

    /// Throws `SystemError` where the process has no descriptors left.
    public init() throws {
        epoll = try Self.open("epoll_create1", epoll_create1(Int32(EPOLL_CLOEXEC)))
        wakeup = try Self.open("eventfd", eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK)), orClose: [epoll])
        let timer = timerfd_create(CLOCK_MONOTONIC, Int32(TFD_CLOEXEC | TFD_NONBLOCK))
        clock = try Self.open("timerfd_create", timer, orClose: [epoll, wakeup])
        now = clinux_monotonic_ns()
        try watch(wakeup, for: .readable) { [unowned self] _ in self.runMailbox() }
        try watch(clock, for: .readable) { [unowned self] _ in self.clockFired() }
    }

    private static func open(_ call: String, _ result: Int32, orClose others: [Int32] = []) throws -> Int32 {
        guard result < 0 else { return result }
        let code = errno
        for other in others { close(other) }
        throw SystemError(call: call, code: code)
    }

    deinit {
        close(epoll)
        close(wakeup)
        close(clock)
    }

    /// The epoll descriptor itself: readable while something here is ready. For nesting in another loop.
    public var descriptor: Int32 { epoll }

    /// The monotonic clock in nanoseconds, from any thread.
    public static func monotonicNanoseconds() -> UInt64 { clinux_monotonic_ns() }

    // MARK: Descriptors (loop thread)

    /// Calls `handler` on this loop's thread whenever `descriptor` is ready, level-triggered, until `unwatch`.
    /// The descriptor stays the caller's: `unwatch` it before closing it.
    public func watch(_ descriptor: Int32, for interest: Readiness, _ handler: @escaping Handler) throws {
        let slot = Int(descriptor)
        while registrations.count <= slot { registrations.append(Registration(generation: 0, handler: nil)) }
        precondition(registrations[slot].handler == nil, "descriptor is watched already")
        registrations[slot].generation &+= 1
        registrations[slot].handler = handler
        let code = control(EPOLL_CTL_ADD, descriptor, interest)
        guard code == 0 else {
            registrations[slot].handler = nil
            throw SystemError(call: "epoll_ctl(ADD)", code: code)
        }
    }

    /// Changes what a watched descriptor is watched for.
    public func rewatch(_ descriptor: Int32, for interest: Readiness) {
        _ = control(EPOLL_CTL_MOD, descriptor, interest)
    }

    /// Stops watching; the handler is not called again, not even for an event of this turn.
    public func unwatch(_ descriptor: Int32) {
        let slot = Int(descriptor)
        guard slot < registrations.count, registrations[slot].handler != nil else { return }
        registrations[slot].handler = nil
        _ = control(EPOLL_CTL_DEL, descriptor, [])
    }

    private func control(_ operation: Int32, _ descriptor: Int32, _ interest: Readiness) -> Int32 {
        var events: UInt32 = 0
        if interest.contains(.readable) { events |= EPOLLIN.rawValue }
        if interest.contains(.writable) { events |= EPOLLOUT.rawValue }
        let data = UInt64(registrations[Int(descriptor)].generation) << 32 | UInt64(UInt32(descriptor))
        return clinux_epoll_control(epoll, operation, descriptor, events, data)
    }

    // MARK: Timers (loop thread)

    /// Calls `handler` once, no earlier than `milliseconds` from now.
    @discardableResult
    public func after(milliseconds: UInt64, _ handler: @escaping () -> Void) -> TimerID {
        at(clinux_monotonic_ns() + milliseconds * 1_000_000, handler)
    }

    /// Calls `handler` once, when the monotonic clock has reached `deadline` (nanoseconds).
    @discardableResult
    public func at(_ deadline: UInt64, _ handler: @escaping () -> Void) -> TimerID {
        let timer = timers.insert(deadline: deadline, handler)
        arm()
        return timer
    }

    /// Forgets a timer; one that fired already is ignored.
    public func cancel(_ timer: TimerID) { timers.remove(timer) }

    /// The armed deadline is only ever moved forward here: a timer cancelled or fired leaves one early wake-up behind,
    /// which costs less than a system call for each.
    private func arm() {
        guard let deadline = timers.nextDeadline, deadline < armedDeadline else { return }
        armedDeadline = deadline
        _ = clinux_timer_arm(clock, max(deadline, 1))
    }

    private func clockFired() {
        var expirations: UInt64 = 0
        _ = read(clock, &expirations, MemoryLayout<UInt64>.size)
        armedDeadline = .max
        while let handler = timers.popDue(now: now) { handler() }
        arm()
    }

    // MARK: Turns

    /// Calls `handler` at the end of every turn: the place to send what the turn's handlers have collected.
    public func atEndOfTurn(_ handler: @escaping () -> Void) { turnHandlers.append(handler) }

    /// Runs until `stop`. Blocks the calling thread, which must not be one of the cooperative pool.
    public func run() {
        while !stopping.load(ordering: .acquiring) { turn(timeoutMilliseconds: -1) }
    }

    /// Handles what is ready now and returns: one turn of a nested loop.
    public func poll() { turn(timeoutMilliseconds: 0) }

    private func turn(timeoutMilliseconds: Int32) {
        withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 256) { events in
            let count = epoll_wait(epoll, events.baseAddress, Int32(events.count), timeoutMilliseconds)
            now = clinux_monotonic_ns()
            for index in 0..<max(0, Int(count)) { deliver(events[index]) }
        }
        for handler in turnHandlers { handler() }
    }

    private func deliver(_ event: epoll_event) {
        let slot = Int(UInt32(truncatingIfNeeded: event.data.u64))
        let generation = UInt32(truncatingIfNeeded: event.data.u64 >> 32)
        guard registrations[slot].generation == generation, let handler = registrations[slot].handler else { return }
        var readiness: Readiness = []
        if event.events & EPOLLIN.rawValue != 0 { readiness.insert(.readable) }
        if event.events & EPOLLOUT.rawValue != 0 { readiness.insert(.writable) }
        if event.events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 {
            readiness.formUnion([.closed, .readable, .writable])
        }
        handler(readiness)
    }

    // MARK: From any thread

    /// Runs `work` on the loop's thread, in order of submission. Never blocks. What is still waiting when the loop
    /// stops is run by the stopping turn or dropped: a caller that waits for it must stop waiting by itself.
    public func execute(_ work: @escaping @Sendable () -> Void) {
        let wasEmpty = mailbox.withLock { waiting in
            waiting.append(work)
            return waiting.count == 1
        }
        if wasEmpty { wake() }
    }

    /// Makes `run` return after its present turn.
    public func stop() {
        stopping.store(true, ordering: .releasing)
        wake()
    }

    private func wake() {
        var one: UInt64 = 1
        _ = write(wakeup, &one, MemoryLayout<UInt64>.size)
    }

    private func runMailbox() {
        var count: UInt64 = 0
        _ = read(wakeup, &count, MemoryLayout<UInt64>.size)
        let work = mailbox.withLock { waiting in
            defer { waiting.removeAll(keepingCapacity: true) }
            return waiting
        }
        for item in work { item() }
    }
}
