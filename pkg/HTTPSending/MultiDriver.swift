internal import CCurl
internal import EventLoops
internal import Glibc

/// A libcurl multi handle driven by an event loop: it watches the descriptors and keeps the time that libcurl asks for.
/// Confined to the loop's thread, like the multi handle and everything in it.
///
/// Between two requests on a kept-alive connection libcurl stops watching it and starts again. A descriptor of ours stays registered
/// meanwhile (for reading: silent until the peer speaks), which saves two system calls a request.
///
///     libcurl    ADD(in)      REMOVE    ADD(in)     REMOVE                 close
///     epoll      add(in)  ─────────────────────────────  event: del   or   del
final class MultiDriver {
    /// A descriptor that libcurl has told us of.
    private struct Watch {
        /// Opened by `open`, so that `close` is certain to be called. libcurl closes its resolver's by itself.
        var isOurs = false
        /// What epoll has; nil: not registered.
        var registered: Readiness?
        /// What libcurl wants; empty: nothing at present.
        var wanted: Readiness = []
    }

    private let multi: UnsafeMutableRawPointer
    private let loop: EventLoop
    /// Called when transfers may have ended.
    private let progressed: () -> Void
    /// Indexed by descriptor.
    private var watches: [Watch] = []
    /// When libcurl wants to be called without an event (monotonic, ns).
    private var deadline: UInt64?
    /// The loop's timer, at or before `deadline`: one that fires early is set again, which is rarer than a deadline that moves.
    private var timer: (id: TimerID, deadline: UInt64)?
    /// libcurl wants to be called at once; set by its callback, which may not call it.
    private var isDue = false

    /// How many transfers libcurl is working on, as of the last call.
    private(set) var running: Int32 = 0

    /// Throws `unavailable` where there is no memory.
    init(loop: EventLoop, maximumConnections: Int, progressed: @escaping () -> Void) throws(HTTPSenderError) {
        guard let multi = curl_multi_init() else { throw .unavailable }
        self.multi = multi
        self.loop = loop
        self.progressed = progressed
        _ = ccurl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, maximumConnections)
        _ = ccurl_multi_set_long(multi, CURLMOPT_PIPELINING, Int(CURLPIPE_NOTHING))
        ccurl_multi_set_callbacks(multi, Self.socketCallback, Self.timerCallback, context)
    }

    private var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    /// Closes every connection. The transfers must have been removed; nothing may be called after it.
    func shutDown() {
        if let timer { loop.cancel(timer.id) }
        timer = nil
        curl_multi_cleanup(multi)
        for descriptor in watches.indices { forget(Int32(descriptor)) }
    }

    /// Makes `easy` open and close its sockets through this driver.
    func adopt(_ easy: UnsafeMutableRawPointer) {
        ccurl_set_closer(
            easy,
            { context, descriptor in
                Unmanaged<MultiDriver>.fromOpaque(context!).takeUnretainedValue().close(descriptor)
            }, context)
    }

    /// Starts a transfer; what can be done without waiting is done. False where libcurl refuses it.
    func start(_ easy: UnsafeMutableRawPointer) -> Bool {
        guard curl_multi_add_handle(multi, easy) == CURLM_OK else { return false }
        act(CURL_SOCKET_BAD, [])
        return true
    }

    /// Takes a transfer out, whatever its state.
    func remove(_ easy: UnsafeMutableRawPointer) {
        curl_multi_remove_handle(multi, easy)
    }

    /// The next transfer that has ended, with libcurl's code.
    func nextDone() -> (easy: UnsafeMutableRawPointer, code: CURLcode)? {
        var code = CURLE_OK
        guard let easy = ccurl_multi_next_done(multi, &code) else { return nil }
        return (easy, code)
    }

    /// Tells libcurl of an event, or with `CURL_SOCKET_BAD` (its CURL_SOCKET_TIMEOUT) of the time.
    private func act(_ descriptor: Int32, _ readiness: Readiness) {
        var flags: Int32 = 0
        if readiness.contains(.readable) { flags |= CURL_CSELECT_IN }
        if readiness.contains(.writable) { flags |= CURL_CSELECT_OUT }
        isDue = false
        curl_multi_socket_action(multi, descriptor, flags, &running)
        for _ in 0..<16 where isDue {
            isDue = false
            curl_multi_socket_action(multi, CURL_SOCKET_BAD, 0, &running)
        }
        if isDue { setDeadline(EventLoop.monotonicNanoseconds()) }
    }

    // MARK: Time

    private static let timerCallback: curl_multi_timer_callback = { _, milliseconds, context in
        let driver = Unmanaged<MultiDriver>.fromOpaque(context!).takeUnretainedValue()
        switch milliseconds {
        case ..<0: driver.deadline = nil
        case 0: driver.isDue = true
        default: driver.setDeadline(EventLoop.monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000)
        }
        return 0
    }

    private func setDeadline(_ deadline: UInt64) {
        self.deadline = deadline
        if let timer {
            guard deadline < timer.deadline else { return }
            loop.cancel(timer.id)
        }
        arm(deadline)
    }

    private func arm(_ deadline: UInt64) {
        let id = loop.at(deadline) { [unowned self] in self.timerFired() }
        timer = (id, deadline)
    }

    private func timerFired() {
        timer = nil
        guard let deadline else { return }
        guard deadline <= EventLoop.monotonicNanoseconds() else { return arm(deadline) }
        self.deadline = nil
        act(CURL_SOCKET_BAD, [])
        progressed()
    }

    // MARK: Descriptors

    private static let socketCallback: curl_socket_callback = { _, descriptor, what, context, _ in
        let driver = Unmanaged<MultiDriver>.fromOpaque(context!).takeUnretainedValue()
        switch what {
        case CURL_POLL_IN: driver.want(descriptor, .readable)
        case CURL_POLL_OUT: driver.want(descriptor, .writable)
        case CURL_POLL_INOUT: driver.want(descriptor, [.readable, .writable])
        default: driver.want(descriptor, [])
        }
        return 0
    }

    private func want(_ descriptor: Int32, _ interest: Readiness) {
        let slot = Int(descriptor)
        grow(to: slot)
        watches[slot].wanted = interest
        if interest.isEmpty, !watches[slot].isOurs { return forget(descriptor) }
        let needed: Readiness = interest.isEmpty ? .readable : interest
        guard let registered = watches[slot].registered else {
            if !interest.isEmpty { register(descriptor, interest) }
            return
        }
        guard registered != needed else { return }
        loop.rewatch(descriptor, for: needed)
        watches[slot].registered = needed
    }

    private func register(_ descriptor: Int32, _ interest: Readiness) {
        // Without memory for a registration the transfer meets its timeout.
        guard
            (try? loop.watch(
                descriptor, for: interest, { [unowned self] in self.ready(descriptor, $0) })) != nil
        else { return }
        watches[Int(descriptor)].registered = interest
    }

    private func ready(_ descriptor: Int32, _ readiness: Readiness) {
        guard !watches[Int(descriptor)].wanted.isEmpty else {
            // An idle connection: closed by its peer, which libcurl finds out when it is about to use it.
            loop.unwatch(descriptor)
            watches[Int(descriptor)].registered = nil
            return
        }
        act(descriptor, readiness)
        progressed()
    }

    private func grow(to slot: Int) {
        while watches.count <= slot { watches.append(Watch()) }
    }

    private func forget(_ descriptor: Int32) {
        if watches[Int(descriptor)].registered != nil { loop.unwatch(descriptor) }
        watches[Int(descriptor)] = Watch()
    }

    /// A socket for libcurl, or -1 with errno.
    func open(family: Int32, type: Int32, protocol number: Int32) -> Int32 {
        let descriptor = socket(family, type | Int32(SOCK_CLOEXEC.rawValue), number)
        guard descriptor >= 0 else { return -1 }
        guard Self.isSparable(descriptor) else {
            _ = Glibc.close(descriptor)
            errno = EMFILE
            return -1
        }
        grow(to: Int(descriptor))
        watches[Int(descriptor)] = Watch(isOurs: true)
        return descriptor
    }

    /// The last descriptors that the process may have are left to others: libdispatch, which runs Swift's tasks, ends the process when it
    /// cannot open its workers' `/proc/…/stat`, once a second. New descriptors are the lowest that are free.
    private static func isSparable(_ descriptor: Int32) -> Bool {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return true }
        return UInt64(descriptor) + spareDescriptors < limit.rlim_cur
    }
    private static let spareDescriptors: UInt64 = 32

    private func close(_ descriptor: Int32) -> Int32 {
        grow(to: Int(descriptor))
        forget(descriptor)
        return Glibc.close(descriptor)
    }
}
