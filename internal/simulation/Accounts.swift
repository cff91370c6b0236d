internal import Records

/// What became of each offset of one source partition.
struct SourceAccount {
    struct Entry {
        /// False: a gap.
        var isRecord: Bool
        var appendedAt: Int64 = 0
        /// Webhooks that have to have an outcome, however the record is routed.
        var owedTo: [String] = []
        /// Those that have one.
        var settled: [String] = []
        var fanOut = 1
        var isCovered = false
        /// Retention took it before it was delivered.
        var isLost = false

        var isAccountedFor: Bool {
            if isLost { return true }
            guard isRecord else { return isCovered }
            return owedTo.allSatisfy(settled.contains) && (isCovered || settled.count >= fanOut)
        }
    }

    private(set) var records: [Entry] = []
    private var verified = 0

    mutating func gap() { records.append(Entry(isRecord: false)) }

    mutating func record(owedTo webhooks: [String], at now: Int64) {
        records.append(Entry(isRecord: true, appendedAt: now, owedTo: webhooks))
    }

    mutating func covered(_ span: Outcome.Span) {
        for offset in span.first...span.last where offset < records.count { records[Int(offset)].isCovered = true }
    }

    /// Returns whether it is the webhook's first outcome.
    mutating func settled(_ offset: Int64, _ webhook: String, _ fanOut: Int) -> Bool {
        let place = Int(offset)
        records[place].fanOut = max(records[place].fanOut, fanOut)
        guard !records[place].settled.contains(webhook) else { return false }
        records[place].settled.append(webhook)
        return true
    }

    mutating func lostBelow(_ offset: Int64) {
        for place in 0..<min(Int(offset), records.count) where !records[place].isAccountedFor {
            records[place].isLost = true
        }
    }

    func isLost(_ span: Outcome.Span) -> Bool {
        (span.first...span.last).allSatisfy { $0 < records.count && records[Int($0)].isLost }
    }

    /// Everything below is to be accounted for: returns the first offset that is not.
    mutating func commit(_ offset: Int64) -> Int64? {
        while verified < min(Int(offset), records.count) {
            guard records[verified].isAccountedFor else { return Int64(verified) }
            verified += 1
        }
        return nil
    }

    /// Behind the last record: of a gap behind that no consumer learns.
    var end: Int64 { Int64((records.lastIndex { $0.isRecord } ?? -1) + 1) }

    var firstOpen: Int64? {
        records[verified..<max(verified, Int(end))].firstIndex { !$0.isAccountedFor }.map(Int64.init)
    }

    /// Records that retention took from somebody.
    var lost: Int { records.count { $0.isLost && $0.isRecord } }
}

/// What endpoints saw, and which of it is in the history.
struct RequestAccount {
    struct Source: Hashable {
        var place: Place
        var offset: Int64
        var webhook: String
    }

    struct Request {
        var delivery: DeliveryID
        var source: Source
        /// The ownership of the partition.
        var owner: Int
        var host: ObjectIdentifier
        var endedAt: Int64?
    }

    struct Violation: Error {
        var what: String
    }

    private struct Past {
        var count = 0
        var lastOwner: Int
        /// Where its first outcome lies in `attempts`.
        var outcomeAt: Int64?
    }

    /// Deliveries that an endpoint answered with success.
    var taken: Set<DeliveryID> = []
    /// How many requests may be repeated because of what happened.
    var exposed = 0
    /// Without an outcome in the history.
    private var unheard: [UInt64: Request] = [:]
    private var pasts: [Source: Past] = [:]
    private(set) var silent = 0

    /// A request begins. Returns whether it repeats one.
    /// - Parameter knownBelow: what lay below in `attempts` when its owner read that.
    mutating func began(
        _ number: UInt64, _ request: Request, knownBelow: Int64, at now: Int64, bound: Int, ageMs: Int64, limit: Int
    ) throws(Violation) -> Bool {
        var (running, open) = (1, 1)
        for other in unheard.values where other.host == request.host {
            open += 1
            if other.endedAt == nil, other.source.webhook == request.source.webhook { running += 1 }
            if let ended = other.endedAt, now - ended >= ageMs {
                throw Violation(what: "a request begins while one has had no outcome for \(now - ended) ms")
            }
        }
        guard open <= bound else { throw Violation(what: "\(open) requests open, \(bound) allowed") }
        guard running <= limit else {
            throw Violation(what: "\(running) requests to \(request.source.webhook), \(limit) allowed")
        }
        unheard[number] = request
        guard var past = pasts[request.source] else {
            pasts[request.source] = Past(count: 1, lastOwner: request.owner)
            return false
        }
        if past.lastOwner == request.owner { throw Violation(what: "one owner makes a request twice") }
        if let outcome = past.outcomeAt, outcome < knownBelow {
            throw Violation(what: "a request is repeated though its outcome lies at \(outcome), below \(knownBelow)")
        }
        past.count += 1
        past.lastOwner = request.owner
        pasts[request.source] = past
        return true
    }

    mutating func ended(_ number: UInt64, at now: Int64) { unheard[number]?.endedAt = now }

    mutating func landed(_ outcome: Outcome, in place: Place, at offset: Int64) {
        unheard[outcome.requestID] = nil
        let source = Source(place: place, offset: outcome.sourceOffset, webhook: outcome.webhookID)
        if pasts[source] != nil, pasts[source]?.outcomeAt == nil { pasts[source]?.outcomeAt = offset }
    }

    /// Its owner has lost the partition, and writes nothing about it.
    mutating func abandoned(_ number: UInt64) {
        if unheard.removeValue(forKey: number) != nil { silent += 1 }
    }

    mutating func crashed(_ host: ObjectIdentifier, exposing bound: Int) {
        exposed += bound
        forget(host)
    }

    /// What is on its way may land yet.
    mutating func forget(_ host: ObjectIdentifier) {
        for (number, request) in unheard where request.host == host { abandoned(number) }
    }
}

/// What came into `retries`, and what was fired of it.
struct RetryAccount {
    private struct Origin: Hashable {
        var partition: Int
        var offset: Int64
    }

    private let batch: Int
    private var seen: Set<RetryKey> = []
    private var order: [(partition: Int, fields: DeliveryFields)] = []
    private var dues: [Origin: Int64] = [:]
    private var keys: [Origin: RetryKey] = [:]
    private var fired: Set<RetryKey> = []
    private var newest: [DeliveryID: UInt32] = [:]
    private var fires: [Origin: Int] = [:]
    /// Keys that were never retired. A cancellation is not among them: it is retired when its hold ends.
    private(set) var living: Set<RetryKey> = []
    private(set) var dead: Set<DeliveryID> = []
    /// By partition, who has the index; and what each who had it may have left in flight.
    private var holders: [Int: Int] = [:]
    private var left: [Int: Int] = [:]
    /// Partitions of which nobody can say who has the index.
    private var uncertain: Set<Int> = []
    /// How many may be fired again because of what happened.
    private(set) var exposed = 0

    init(batch: Int) { self.batch = batch }

    mutating func waits(_ key: RetryKey, _ partition: Int, _ offset: Int64, _ fields: DeliveryFields, _ due: Int64) {
        seen.insert(key)
        living.insert(key)
        order.append((partition, fields))
        dues[Origin(partition: partition, offset: offset)] = due
        keys[Origin(partition: partition, offset: offset)] = key
        newest[fields.id] = max(newest[fields.id] ?? 0, fields.generation)
    }

    mutating func commanded(_ key: RetryKey) {
        if case .cancel = key { return }
        living.insert(key)
    }

    /// Returns whether it may be: what waited was fired, or a newer generation has come.
    mutating func retired(_ key: RetryKey) -> Bool {
        living.remove(key)
        guard case .delivery(let id, let generation) = key else { return true }
        return fired.contains(key) || newest[id].map { $0 > generation } == true
    }

    mutating func died(_ id: DeliveryID) { dead.insert(id) }

    func hasSeen(_ key: RetryKey) -> Bool { seen.contains(key) }

    func seen(_ number: Int) -> (partition: Int, fields: DeliveryFields)? {
        order.isEmpty ? nil : order[number % order.count]
    }

    func due(_ partition: Int, _ offset: Int64) -> Int64? { dues[Origin(partition: partition, offset: offset)] }

    /// Returns whether it was fired before.
    mutating func fired(_ partition: Int, _ offset: Int64) -> Bool {
        let origin = Origin(partition: partition, offset: offset)
        fires[origin, default: 0] += 1
        if let key = keys[origin] { fired.insert(key) }
        return fires[origin]! > 1
    }

    mutating func left(_ holder: Int, _ partition: Int, inFlight: Int) {
        if left[holder] == nil { left[holder] = inFlight }
    }

    /// Whether this owner has the index, as far as can be told: a Redis that forgot something may have given it back to another.
    func holds(_ holder: Int, _ partition: Int) -> Bool {
        holders[partition] == holder || uncertain.contains(partition)
    }

    mutating func redisForgot() { uncertain = Set(holders.keys) }

    mutating func took(_ holder: Int, _ partition: Int) {
        uncertain.remove(partition)
        guard let before = holders[partition], before != holder else {
            holders[partition] = holder
            return
        }
        holders[partition] = holder
        exposed += left[before] ?? batch
    }
}
