internal import Cryptography
internal import EventLoops
internal import Redis

/// An id's key in Redis: 16 bytes of a digest, so that every id takes the same memory and none can pose as another.
struct EventMark: Hashable {
    fileprivate let words: (UInt64, UInt64)

    static func == (a: Self, b: Self) -> Bool { a.words == b.words }

    func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

/// Remembers ids in Redis: `0` while a request is under way, `1` when Kafka has the event (small numbers take no memory of their own there).
/// A crash in between can let an id be published twice; it is never swallowed. Confined to its loop's thread.
final class DuplicateFilter {
    /// Longer than a record may wait for its acknowledgement: so a mark that is removed or made final is still the request's own.
    static let pendingSeconds: Int64 = 30

    private let redis: RedisConnection
    private let hasher = SHA256Hasher()
    private let log: String
    private(set) var window: DuplicateWindow

    private static let prefix = "i:"
    private let marking = PreparedCommand("SET", keyPrefix: prefix, then: "0", "NX", "EX", .integer(pendingSeconds))
    private let asking = PreparedCommand("GET", keyPrefix: prefix)
    private let forgetting = PreparedCommand("DEL", keyPrefix: prefix)
    /// For the window as it was lately.
    private var remembering: (seconds: Int, command: PreparedCommand)?

    /// - Parameter log: names the log that events go to. An in-memory broker is another one at each start, and what it forgot must not be
    ///   taken for accepted.
    init(_ redis: RedisConnection, log: String, window: DuplicateWindow) {
        self.redis = redis
        self.log = log
        self.window = window
    }

    func mark(tenant: String, source: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer) -> EventMark {
        for var text in [log, tenant] {
            text.withUTF8 { hasher.add(UnsafeRawBufferPointer($0)) }
            addNUL()
        }
        hasher.add(source)
        addNUL()
        hasher.add(id)
        return EventMark(words: hasher.finishHalf())
    }

    private func addNUL() { withUnsafeBytes(of: UInt8(0)) { hasher.add($0) } }

    /// Marks the id as pending if it is new. `completion` is called on the loop's thread, now or later.
    func look(_ mark: EventMark, _ completion: @escaping (Sighting) -> Void) {
        send(marking, mark) { [self] result in
            switch result {
            case .failure: completion(.unknown)
            case .success(.null): state(of: mark, completion)
            case .success: completion(.new)
            }
        }
    }

    private func state(of mark: EventMark, _ completion: @escaping (Sighting) -> Void) {
        send(asking, mark) { result in
            switch result {
            case .failure: completion(.unknown)
            case .success(let reply):
                // Gone meanwhile: its request has just failed, so this one may go on; the mark is missed for once.
                completion(reply.isNull ? .unknown : reply.bytes == [UInt8(ascii: "1")] ? .accepted : .pending)
            }
        }
    }

    func change(_ change: MarkChange, of mark: EventMark) {
        switch change {
        case .keep: return
        case .remember:
            let seconds = window.remember(now: EventLoop.monotonicNanoseconds())
            send(remembering(for: seconds), mark) { _ in }
        case .forget: send(forgetting, mark) { _ in }
        }
    }

    private func remembering(for seconds: Int) -> PreparedCommand {
        if let remembering, remembering.seconds == seconds { return remembering.command }
        let command = PreparedCommand("SET", keyPrefix: Self.prefix, then: "1", "EX", .integer(Int64(seconds)))
        remembering = (seconds, command)
        return command
    }

    private func send(_ command: PreparedCommand, _ mark: EventMark, _ done: @escaping RedisConnection.Completion) {
        withUnsafeBytes(of: mark.words) { redis.command(command, key: $0, done) }
    }
}
