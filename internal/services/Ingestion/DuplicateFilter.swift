internal import Cryptography
internal import EventLoops
internal import Redis

/// Remembers ids in Redis: `0` while a request is under way, `1` when Kafka has the event (small numbers take no memory of their own there).
/// A crash in between can let an id be published twice; it is never swallowed. Confined to its loop's thread.
final class DuplicateFilter {
    /// Longer than a record may wait for its acknowledgement: so a mark that is removed or made final is still the request's own.
    static let pendingSeconds: Int64 = 30

    private let redis: RedisConnection
    private let log: String
    private(set) var window: DuplicateWindow

    /// - Parameter log: names the log that events go to. An in-memory broker is another one at each start, and what it forgot must not be
    ///   taken for accepted.
    init(_ redis: RedisConnection, log: String, window: DuplicateWindow) {
        self.redis = redis
        self.log = log
        self.window = window
    }

    /// The key of an id: 16 bytes of a digest, so that every id takes the same memory and none can pose as another.
    func key(tenant: String, source: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer) -> RedisArgument {
        var input: [UInt8] = []
        input.reserveCapacity(log.utf8.count + tenant.utf8.count + source.count + id.count + 3)
        input.append(contentsOf: log.utf8)
        input.append(0)
        input.append(contentsOf: tenant.utf8)
        input.append(0)
        input.append(contentsOf: source)
        input.append(0)
        input.append(contentsOf: id)
        return withUnsafeTemporaryAllocation(byteCount: SHA256.digestLength, alignment: 8) { digest in
            input.withUnsafeBytes { SHA256.digest(of: $0, into: digest) }
            return .bytes([UInt8(ascii: "i"), UInt8(ascii: ":")] + digest.prefix(16))
        }
    }

    /// Marks the id as pending if it is new. `completion` is called on the loop's thread, now or later.
    func look(_ key: RedisArgument, _ completion: @escaping (Sighting) -> Void) {
        redis.command(["SET", key, "0", "NX", "EX", .integer(Self.pendingSeconds)]) { [self] result in
            switch result {
            case .failure: completion(.unknown)
            case .success(.null): state(of: key, completion)
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
                completion(reply.isNull ? .unknown : reply.bytes == [UInt8(ascii: "1")] ? .accepted : .pending)
            }
        }
    }

    func change(_ mark: MarkChange, of key: RedisArgument) {
        switch mark {
        case .keep: return
        case .remember:
            let seconds = window.remember(now: EventLoop.monotonicNanoseconds())
            redis.command(["SET", key, "1", "EX", .integer(Int64(seconds))]) { _ in }
        case .forget: redis.command(["DEL", key]) { _ in }
        }
    }
}
