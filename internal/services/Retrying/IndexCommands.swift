internal import Records
internal import Redis
internal import Scheduling

/// One partition's index in Redis. `KEYS[1]` is the hash `{r<p>}:at` (delivery → entry), `KEYS[2]` the sorted set `{r<p>}:due` (deliveries
/// and lanes, told apart by their lengths, scored by due time in milliseconds), `KEYS[3]` the sorted set `{r<p>}:lanes` (place and
/// delivery, all scored 0, so that their bytes order them). The header lies in the hash under `!`, in the sets as a member that
/// begins with `!`: in `due` it scores -1, below every due time; no lane's name begins so. Confined to its connection's loop.
struct IndexCommands {
    typealias Completion<Value> = (Result<Value, RedisError>) -> Void

    private let redis: RedisConnection
    private let at: RedisArgument
    private let due: RedisArgument
    private let lanes: RedisArgument

    /// - Parameter prefix: Sets this Martlet's keys apart from another's in the same Redis.
    init(_ redis: RedisConnection, prefix: String, partition: Int32) {
        self.redis = redis
        at = .text("\(prefix){r\(partition)}:at")
        due = .text("\(prefix){r\(partition)}:due")
        lanes = .text("\(prefix){r\(partition)}:lanes")
    }

    private var keys: [RedisArgument] { [at, due, lanes] }

    // MARK: Reading

    func headers(_ completion: @escaping Completion<IndexHeaders>) {
        redis.run(Self.readHeaders, keys: keys) { result in
            completion(
                result.map { reply in
                    let texts = (reply.elements ?? []).map { $0.text ?? "" }.map { $0.isEmpty ? nil : $0 }
                    guard texts.count == 3 else { return IndexHeaders() }
                    return IndexHeaders(at: texts[0], due: texts[1], lanes: texts[2])
                })
        }
    }

    func look(_ ids: [DeliveryID], _ completion: @escaping Completion<[DeliveryID: IndexEntry]>) {
        redis.command(["HMGET", at] + ids.map { .bytes($0.bytes) }) { result in
            completion(
                result.map { reply in
                    var found: [DeliveryID: IndexEntry] = [:]
                    for (id, element) in zip(ids, reply.elements ?? []) {
                        if let entry = element.bytes.flatMap(Self.entry) { found[id] = entry }
                    }
                    return found
                })
        }
    }

    /// What is due by then, at most `limit`; of each lane that is, the first `inLane`.
    func upcoming(untilMs: Int64, limit: Int, inLane: Int, _ completion: @escaping Completion<[IndexReply.Claimed]>) {
        let arguments: [RedisArgument] = [.integer(untilMs), .integer(Int64(limit)), .integer(Int64(inLane))]
        redis.run(Self.upcoming, keys: keys, arguments) { result in
            completion(result.map { Self.entries($0.elements ?? []) })
        }
    }

    struct Counts {
        var pending = 0
        /// Deliveries and lanes.
        var due = 0
        /// Waiting in lanes.
        var parked = 0
    }

    /// How many deliveries there are, how many are due, and how many wait in lanes.
    func counts(nowMs: Int64, _ completion: @escaping Completion<Counts>) {
        redis.run(Self.counts, keys: keys, [.integer(nowMs)]) { result in
            completion(
                result.map { reply in
                    let numbers = (reply.elements ?? []).compactMap(\.integerValue).map(Int.init)
                    guard numbers.count == 3 else { return Counts() }
                    return Counts(pending: numbers[0], due: numbers[1], parked: numbers[2])
                })
        }
    }

    // MARK: Changing

    /// Answers false where the keys held something else than was found before.
    func open(_ opening: IndexOpening, _ completion: @escaping Completion<Bool>) {
        let arguments: [RedisArgument] = [
            .text(opening.found.at ?? ""), .text(opening.found.due ?? ""), .text(opening.found.lanes ?? ""),
            .text(opening.header.text), opening.resets ? "1" : "0",
        ]
        redis.run(Self.open, keys: keys, arguments) { result in completion(result.map { $0.integerValue == 1 }) }
    }

    /// - Parameter again: Called with the number of claimed deliveries that had been claimed before, and not removed.
    func run(_ script: IndexScript, again: @escaping (Int) -> Void, _ completion: @escaping Completion<IndexReply>) {
        let headers: [RedisArgument] = [.text(script.expected.text), .text(script.next.text)]
        let (source, arguments) = Self.words(script.work)
        redis.run(source, keys: keys, headers + arguments) { result in
            completion(
                result.map { reply in
                    if reply.integerValue == 0 { return .mismatch }
                    guard script.work.claims, let parts = reply.elements, parts.count == 3 else { return .done }
                    let elements = parts[1].elements ?? []
                    again(elements.count { $0.bytes?.count == IndexEntry.byteCount + 1 })
                    let next = parts[0].text.flatMap(Double.init).map { Int64($0) }
                    let lanes = (parts[2].elements ?? []).compactMap { $0.bytes.flatMap(LaneID.init(bytes:)) }
                    return .claimed(Self.entries(elements), lanes: lanes, nextDueMs: next)
                })
        }
    }

    private static func words(_ work: IndexScript.Work) -> (RedisScript, [RedisArgument]) {
        switch work {
        case .index(let changes, let lanes):
            let words = changes.flatMap { change -> [RedisArgument] in
                [.bytes(change.delivery.bytes), .bytes(change.entry?.bytes ?? []), .integer(max(0, change.dueAtMs))]
            }
            let due = lanes.flatMap { [.bytes($0.lane.bytes), .integer(max(0, $0.dueAtMs))] as [RedisArgument] }
            return (index, [.integer(Int64(lanes.count))] + due + words)
        case .claim(let now, let until, let limit):
            return (claim, [.integer(now), .integer(until), .integer(Int64(limit))])
        case .release(let releases, let until, let expired, let limit):
            let words = releases.flatMap { release -> [RedisArgument] in
                [.bytes(release.lane.bytes), .integer(Int64(release.count)), .integer(release.nextDueMs)]
            }
            let age = LanePlace.bytes(sinceMs: expired)
            return (Self.release, [.integer(until), .bytes(age), .integer(Int64(limit))] + words)
        case .renew(let ids, let until): return (renew, [.integer(until)] + ids.map { .bytes($0.bytes) })
        case .remove(let entries, let until):
            let words = entries.flatMap { id, entry -> [RedisArgument] in [.bytes(id.bytes), .bytes(entry.bytes)] }
            return (remove, [.integer(until)] + words)
        case .check: return (check, [])
        }
    }

    /// A claimed entry carries one byte more.
    private static func entry(_ bytes: [UInt8]) -> IndexEntry? {
        IndexEntry(bytes: bytes.count == IndexEntry.byteCount + 1 ? Array(bytes.dropLast()) : bytes)
    }

    /// From ids and entries in turn.
    private static func entries(_ elements: [RedisReply]) -> [IndexReply.Claimed] {
        stride(from: 0, to: elements.count - 1, by: 2).compactMap { index in
            guard let id = elements[index].bytes.flatMap({ DeliveryID(bytes: $0) }),
                let entry = elements[index + 1].bytes.flatMap(entry)
            else { return nil }
            return IndexReply.Claimed(delivery: id, entry: entry)
        }
    }
}

extension IndexScript.Work {
    fileprivate var claims: Bool {
        switch self {
        case .claim, .release: true
        case .index, .renew, .remove, .check: false
        }
    }
}
