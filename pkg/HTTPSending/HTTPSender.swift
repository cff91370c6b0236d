internal import CCurl
public import EventLoops
internal import Glibc

/// Sends HTTP/1.1 requests over kept-alive connections: libcurl's multi interface on an event loop. It belongs to the loop's thread,
/// completions included, and so does its last reference. Limiting what is in flight is the caller's part.
///
/// The process must ignore SIGPIPE.
public final class HTTPSender {
    public typealias Completion = (HTTPSendID, HTTPSendResult) -> Void

    /// Idle handles kept, with their buffers of 5 KiB.
    private static let maximumIdle = 1_024

    private let loop: EventLoop
    private let configuration: HTTPSenderConfiguration
    private let relay = Relay()
    private let driver: MultiDriver
    /// By slot; nil where the handle was given back.
    private var transfers: [Transfer?] = []
    /// Slots with an idle handle, the one used last at the end: its memory is in the cache.
    private var idle: [Int] = []
    private var vacant: [Int] = []
    private var nextSequence: UInt64 = 1
    /// Completions that could not be called where their reason arose.
    private var owed: [(Completion, HTTPSendID, HTTPSendResult)] = []
    private var drainTimer: TimerID?
    private var isDraining = false
    private var isClosed = false

    /// How many requests have been sent whose completion has not been called.
    public private(set) var running = 0

    /// Breaks the cycle between driver and sender.
    private final class Relay {
        unowned(unsafe) var sender: HTTPSender!
    }

    /// Throws where libcurl or the CA bundle cannot be used. To be called on the loop's thread, or before the loop runs.
    public init(loop: EventLoop, configuration: HTTPSenderConfiguration = HTTPSenderConfiguration())
        throws(HTTPSenderError)
    {
        guard Self.libraryIsReady else { throw .unavailable }
        if let path = configuration.caBundlePath, access(path, R_OK) != 0 { throw .unreadableCABundle(path: path) }
        self.loop = loop
        self.configuration = configuration
        let relay = relay
        driver = try MultiDriver(loop: loop, maximumConnections: configuration.maximumConnections) {
            relay.sender.drain()
        }
        relay.sender = self
    }

    private static let libraryIsReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    deinit {
        if !isClosed { releaseHandles() }
        if let drainTimer { loop.cancel(drainTimer) }
    }

    /// Starts a request. `completion` is called exactly once, later, on the loop's thread; until then `request.body`
    /// must stay where it is.
    @discardableResult
    public func send(_ request: HTTPSendRequest, completion: @escaping Completion) -> HTTPSendID {
        running += 1
        let sequence = nextSequence
        nextSequence += 1
        guard !isClosed, let transfer = takeTransfer() else {
            let id = HTTPSendID(slot: -1, sequence: sequence)
            owe(completion, id, isClosed ? .aborted : .other(code: Int(CURLE_OUT_OF_MEMORY.rawValue)))
            return id
        }
        let id = HTTPSendID(slot: transfer.slot, sequence: sequence)
        transfer.sequence = sequence
        transfer.completion = completion
        transfer.prepare(request)
        if !driver.start(transfer.easy) {
            recycle(transfer)
            owe(completion, id, .other(code: Int(CURLE_FAILED_INIT.rawValue)))
        } else if Int(driver.running) < active {
            drainSoon()  // something has ended already, but not within `send`
        }
        return id
    }

    /// Ends a request; its completion is called, later, with `aborted`. One that has ended is left alone. The peer may have
    /// got the request all the same.
    public func abort(_ id: HTTPSendID) {
        guard id.slot >= 0, !isClosed, let transfer = transfers[id.slot], transfer.sequence == id.sequence,
            let completion = transfer.completion
        else { return }
        driver.remove(transfer.easy)
        let result = transfer.result(.aborted, code: CURLE_ABORTED_BY_CALLBACK)
        recycle(transfer)
        owed.append((completion, id, result))
        drainSoon()
    }

    /// Aborts what runs, calls the completions, closes the connections. Nothing can be sent afterwards.
    public func close() {
        guard !isClosed else { return }
        for case let transfer? in transfers where transfer.sequence != 0 {
            abort(HTTPSendID(slot: transfer.slot, sequence: transfer.sequence))
        }
        isClosed = true
        releaseHandles()
        drain()
    }

    private func releaseHandles() {
        for case let transfer? in transfers where transfer.sequence != 0 { driver.remove(transfer.easy) }
        transfers.removeAll()
        idle.removeAll()
        driver.shutDown()
    }

    /// Transfers that libcurl has.
    private var active: Int { transfers.count - idle.count - vacant.count }

    // MARK: Handles

    private func takeTransfer() -> Transfer? {
        if let slot = idle.popLast() { return transfers[slot] }
        let slot = vacant.popLast() ?? transfers.count
        guard let transfer = Transfer(slot: slot, driver: driver, configuration: configuration) else {
            if slot < transfers.count { vacant.append(slot) }
            return nil
        }
        if slot == transfers.count { transfers.append(transfer) } else { transfers[slot] = transfer }
        return transfer
    }

    private func recycle(_ transfer: Transfer) {
        transfer.sequence = 0
        transfer.completion = nil
        if idle.count < Self.maximumIdle {
            idle.append(transfer.slot)
        } else {
            transfers[transfer.slot] = nil
            vacant.append(transfer.slot)
        }
    }

    // MARK: Completions

    private func owe(_ completion: @escaping Completion, _ id: HTTPSendID, _ failure: HTTPSendFailure) {
        var result = HTTPSendResult()
        result.failure = failure
        owed.append((completion, id, result))
        drainSoon()
    }

    private func drainSoon() {
        guard !isDraining, drainTimer == nil else { return }
        drainTimer = loop.after(milliseconds: 0) { [unowned self] in
            self.drainTimer = nil
            self.drain()
        }
    }

    /// Calls the completions that are due; those that they cause by sending are called here too.
    private func drain() {
        guard !isDraining else { return }
        isDraining = true
        defer { isDraining = false }
        while true {
            if !isClosed, let (easy, code) = driver.nextDone() {
                finish(easy, code)
            } else if !owed.isEmpty {
                let batch = owed
                owed.removeAll()
                for (completion, id, result) in batch {
                    running -= 1
                    completion(id, result)
                }
            } else {
                return
            }
        }
    }

    private func finish(_ easy: UnsafeMutableRawPointer, _ code: CURLcode) {
        let transfer = Unmanaged<Transfer>.fromOpaque(ccurl_info_private(easy)!).takeUnretainedValue()
        let completion = transfer.completion
        let id = HTTPSendID(slot: transfer.slot, sequence: transfer.sequence)
        let result = transfer.result(transfer.failure(code), code: code)
        driver.remove(easy)
        recycle(transfer)
        running -= 1
        completion?(id, result)
    }
}
