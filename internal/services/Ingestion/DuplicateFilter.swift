internal import Cryptography
internal import EventLoops
internal import Redis

/// What is known of an id that a producer gave.
enum Sighting: Equatable {
    /// Never seen: it is marked as pending now.
    case new
    /// Its event was accepted.
    case accepted
    /// Another request with it is under way, or ended without an answer less than half a minute ago.
    case pending
    /// Redis is away: nothing is known, and nothing is remembered.
    case unknown
}

/// Remembers ids in Redis: `p` while a request is under way, `d` when Kafka has the event. A crash in between can let an id be
/// published twice; it is never swallowed. Confined to its loop's thread.
final class DuplicateFilter {
    private static let pendingSeconds: Int64 = 30

    private let redis: RedisConnection
    private(set) var window: DuplicateWindow

    init(_ redis: RedisConnection, window: DuplicateWindow) {
        self.redis = redis
        self.window = window
    }

    /// The key of an id: 16 bytes of a digest, so that every id takes the same memory and none can pose as another.
    /// - Parameter log: names the log that the event went to: an in-memory broker is another one at each start, and what it forgot
    ///   must not be taken for accepted.
    static func key(log: String, tenant: String, source: String, id: String) -> RedisArgument {
        var input: [UInt8] = []
        for text in [log, tenant, source, id] {
            input.append(contentsOf: text.utf8)
            input.append(0)
        }
        return .bytes(Array("i:".utf8) + SHA256.digest(of: input).prefix(16))
    }

    /// Marks the id as pending if it is new. `completion` is called on the loop's thread, now or later.
    func look(_ key: RedisArgument, _ completion: @escaping (Sighting) -> Void) {
        redis.command(["SET", key, "p", "NX", "EX", .integer(Self.pendingSeconds)]) { [weak self] result in
            switch result {
            case .failure: completion(.unknown)
            case .success(.null): self?.state(of: key, completion)
            case .success: completion(.new)
            }
        }
    }

    private func state(of key: RedisArgument, _ completion: @escaping (Sighting) -> Void) {
        redis.command(["GET", key]) { result in
            switch result {
            case .failure: completion(.unknown)
            case .success(let reply):
                // Gone meanwhile: its request has just failed, so this one may go on; the mark is missed for once.
                completion(reply.isNull ? .unknown : reply.text == "d" ? .accepted : .pending)
            }
        }
    }

    /// Kafka has the event: its id is a duplicate from now on, for as long as the window is.
    func accepted(_ key: RedisArgument) {
        let seconds = window.remember(now: EventLoop.monotonicNanoseconds())
        redis.command(["SET", key, "d", "EX", .integer(Int64(seconds))]) { _ in }
    }

    /// Kafka certainly does not have the event: the id may come again at once.
    func rejected(_ key: RedisArgument) { redis.command(["DEL", key]) { _ in } }
}
