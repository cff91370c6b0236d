import Records
import Scheduling

/// Redis, as far as one partition's index is concerned: both keys, and the scripts on them.
struct ModelIndex {
    struct Keys {
        var at: [DeliveryID: IndexEntry] = [:]
        var due: [DeliveryID: Int64] = [:]
        var atHeader: IndexHeader?
        var dueHeader: IndexHeader?
    }

    private(set) var keys = Keys()
    /// Earlier states, the latest last: what is not on disk yet is lost with the server.
    private var history: [Keys] = []
    let mutation: Mutation

    init(mutation: Mutation) { self.mutation = mutation }

    var isEmpty: Bool { keys.at.isEmpty && keys.due.isEmpty }
    var epoch: Int64? { keys.atHeader?.epoch }
    var headers: IndexHeaders { IndexHeaders(at: keys.atHeader?.text, due: keys.dueHeader?.text) }

    func look(_ ids: [DeliveryID]) -> [DeliveryID: IndexEntry] {
        var found: [DeliveryID: IndexEntry] = [:]
        for id in ids { found[id] = keys.at[id] }
        return found
    }

    // MARK: Scripts

    mutating func open(_ opening: IndexOpening) -> Bool {
        guard headers == opening.found else { return false }
        remember()
        if opening.resets { keys = Keys() }
        keys.atHeader = opening.header
        keys.dueHeader = opening.header
        return true
    }

    mutating func run(_ script: IndexScript) -> IndexReply {
        guard isExpected(script.expected, keys.atHeader),
            mutation == .oneKey || isExpected(script.expected, keys.dueHeader)
        else { return .mismatch }
        remember()
        keys.atHeader = script.next
        keys.dueHeader = script.next
        switch script.work {
        case .index(let changes):
            for change in changes {
                keys.at[change.delivery] = change.entry
                keys.due[change.delivery] = change.entry.map { _ in change.dueAtMs }
            }
        case .claim(let now, let until, let limit): return claim(now: now, until: until, limit: limit)
        case .renew(let ids, let until):
            for id in ids {
                guard let due = keys.due[id] else { continue }
                keys.due[id] = mutation == .renewalLowers ? until : max(due, until)
            }
        case .remove(let entries, let until): for (id, entry) in entries { remove(id, entry, holdUntil: until) }
        case .check: break
        }
        return .done
    }

    private func isExpected(_ expected: IndexHeader, _ found: IndexHeader?) -> Bool {
        switch mutation {
        case .header: return true
        case .epoch: return expected == found || expected.epoch < found?.epoch ?? -1
        case .turn: return expected.position == found?.position && expected.epoch == found?.epoch
        default: return expected == found
        }
    }

    private mutating func claim(now: Int64, until: Int64, limit: Int) -> IndexReply {
        var claimed: [IndexReply.Claimed] = []
        for (id, _) in keys.due.filter({ $0.value <= now }).sorted(by: { isBefore($0, $1) }).prefix(limit) {
            if let entry = keys.at[id] {
                keys.due[id] = until
                claimed.append(.init(delivery: id, entry: entry))
            } else {
                keys.due[id] = nil
            }
        }
        return .claimed(claimed, nextDueMs: keys.due.values.min())
    }

    /// By score, then by member, as in a sorted set.
    private func isBefore(_ left: (key: DeliveryID, value: Int64), _ right: (key: DeliveryID, value: Int64)) -> Bool {
        left.value != right.value ? left.value < right.value : left.key.bytes.lexicographicallyPrecedes(right.key.bytes)
    }

    private mutating func remove(_ id: DeliveryID, _ claimed: IndexEntry, holdUntil: Int64) {
        guard var entry = keys.at[id] else { return }
        let isSame =
            (entry.generation == claimed.generation || mutation == .removalIgnoresGeneration)
            && (entry.offset == claimed.offset || mutation == .removalIgnoresOffset
                || mutation == .removalIgnoresGeneration)
        guard isSame else { return }
        switch entry.mark {
        case claimed.mark: drop(id)
        case .cancel:
            entry.mark = .hold
            keys.at[id] = entry
            keys.due[id] = holdUntil
        case .none, .now: drop(id)
        case .hold: break
        }
    }

    private mutating func drop(_ id: DeliveryID) {
        keys.at[id] = nil
        keys.due[id] = nil
    }

    // MARK: Faults

    private mutating func remember() {
        if history.count == 6 { history.removeFirst() }
        history.append(keys)
    }

    mutating func wipe() {
        keys = Keys()
        history = []
    }

    mutating func rollBack(steps: Int) {
        guard steps > 0, steps <= history.count else { return }
        keys = history[history.count - steps]
        history.removeLast(steps)
    }

    mutating func loseAt() {
        keys.at = [:]
        keys.atHeader = nil
    }

    mutating func loseDue() {
        keys.due = [:]
        keys.dueHeader = nil
    }
}
