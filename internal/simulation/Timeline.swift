/// One computer with one process of a service on it. The process may crash and start again (another incarnation), or be stopped for
/// a while without knowing it; the computer's wall clock may be wrong.
final class Host {
    let name: String
    fileprivate(set) var incarnation = 0
    fileprivate(set) var isAlive = false
    /// Since when it gets no time; nil, it does.
    fileprivate(set) var frozenAt: Int64?
    var isFrozen: Bool { frozenAt != nil }
    /// What would have happened while it was frozen.
    fileprivate var deferred: [() -> Void] = []
    /// Milliseconds that its wall clock is ahead.
    var clockError: Int64 = 0
    /// Crashes before it takes as many steps more. Those that count are the ones it takes while this is so.
    fileprivate var stepsLeft: Int?
    fileprivate var counts: () -> Bool = { true }
    /// When the last thing sent on each channel arrives: a connection keeps the order of what is sent on it.
    var channels: [Channel: Int64] = [:]

    enum Channel: Hashable {
        case log(Place)
        case group
        case redis
    }

    init(_ name: String) { self.name = name }
}

/// Virtual time: what is to happen, in order. Nothing takes time but what says so, and nothing happens at the same time: of two things
/// for the same millisecond the one that was planned first comes first. Milliseconds since the world began.
final class Timeline {
    private struct Event {
        var at: Int64
        var number: Int
        var host: Host?
        var incarnation: Int
        var body: () -> Void
    }

    private(set) var now: Int64 = 0
    /// Things that have happened.
    private(set) var steps = 0
    private var heap: [Event] = []
    private var planned = 0
    /// Called when a host was to crash after some steps more, and has taken them.
    var onCountedCrash: (Host) -> Void = { _ in }

    /// - Parameter host: whose process does it: nothing happens where that has crashed since.
    func after(_ delay: Int64, _ host: Host? = nil, _ body: @escaping () -> Void) {
        at(now + max(0, delay), host, body)
    }

    /// - Parameter incarnation: of the process that it is for; nil: the present one. Answers are for whoever asked.
    func at(_ time: Int64, _ host: Host? = nil, incarnation: Int? = nil, _ body: @escaping () -> Void) {
        planned += 1
        push(
            Event(
                at: max(now, time), number: planned, host: host, incarnation: incarnation ?? host?.incarnation ?? 0,
                body: body))
    }

    /// Lets the next thing happen; false where there is none.
    func step() -> Bool {
        guard let event = pop() else { return false }
        now = event.at
        guard let host = event.host else {
            steps += 1
            event.body()
            return true
        }
        guard host.isAlive, host.incarnation == event.incarnation else { return true }
        if host.isFrozen {
            host.deferred.append(event.body)
            return true
        }
        if let left = host.stepsLeft, host.counts() {
            host.stepsLeft = left > 0 ? left - 1 : nil
            if left == 0 {
                onCountedCrash(host)
                return true
            }
        }
        steps += 1
        event.body()
        return true
    }

    // MARK: Hosts

    func start(_ host: Host) {
        host.incarnation += 1
        host.isAlive = true
        host.frozenAt = nil
        host.stepsLeft = nil
        host.counts = { true }
        host.deferred = []
        host.channels = [:]
    }

    /// It takes so many steps more while `counts` is true.
    func crash(_ host: Host, afterSteps steps: Int, counting counts: @escaping () -> Bool = { true }) {
        guard host.isAlive else { return }
        host.stepsLeft = steps
        host.counts = counts
    }

    func kill(_ host: Host) {
        host.isAlive = false
        host.frozenAt = nil
        host.stepsLeft = nil
        host.counts = { true }
        host.deferred = []
    }

    func freeze(_ host: Host) { host.frozenAt = host.isAlive ? host.frozenAt ?? now : nil }

    /// Everything that waited happens now, in its order.
    func thaw(_ host: Host) {
        guard host.isFrozen else { return }
        host.frozenAt = nil
        let bodies = host.deferred
        host.deferred = []
        for body in bodies { after(0, host, body) }
    }

    /// Nothing more happens.
    func close() {
        heap = []
        onCountedCrash = { _ in }
    }

    // MARK: The heap

    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        heap[left].at != heap[right].at ? heap[left].at < heap[right].at : heap[left].number < heap[right].number
    }

    private func push(_ event: Event) {
        heap.append(event)
        var place = heap.count - 1
        while place > 0, isBefore(place, (place - 1) / 2) {
            heap.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    private func pop() -> Event? {
        guard heap.count > 1 else { return heap.popLast() }
        heap.swapAt(0, heap.count - 1)
        let event = heap.removeLast()
        var place = 0
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2] where child < heap.count && isBefore(child, least) {
                least = child
            }
            guard least != place else { return event }
            heap.swapAt(place, least)
            place = least
        }
    }
}
