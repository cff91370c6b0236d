internal import Redis
internal import ServiceSupport
internal import Synchronization

/// What `/ready` says of Kafka and Redis, gathered from the server's threads.
final class LoopHealth: Sendable {
    private let kafkaFlag: ReadinessFlag
    private let redisFlag: ReadinessFlag
    private let loops = Mutex<[Bool]>([])

    /// - Parameter isRequired: Whether the service is of no use without Kafka. It always is of some without Redis.
    init(_ readiness: Readiness, isRequired: Bool) {
        kafkaFlag = readiness.register("kafka", isRequired: isRequired)
        redisFlag = readiness.register("redis", isRequired: false)
    }

    /// Returns the loop's number.
    func addLoop() -> Int {
        loops.withLock { loops in
            loops.append(false)
            return loops.count - 1
        }
    }

    func kafka(ofLoop index: Int, isUp: Bool) {
        loops.withLock { loops in
            loops[index] = isUp
            kafkaFlag.set(loops.allSatisfy { $0 } ? .ready : .unavailable("no broker answers"))
        }
    }

    func redis(_ event: RedisEvent) {
        switch event {
        case .connected: redisFlag.set(.ready)
        case .disconnected(let reason), .connectFailed(let reason, _): redisFlag.set(.unavailable(reason))
        }
    }
}
