import EventLoops
import Synchronization
import TestSupport

@testable import Redis

extension RedisServer {
    var configuration: RedisConfiguration {
        var configuration = RedisConfiguration()
        configuration.host = host
        configuration.port = port
        configuration.password = password
        configuration.reconnectDelayMilliseconds = 20
        configuration.maximumReconnectDelayMilliseconds = 100
        return configuration
    }
}

/// A client that is connected. Throws where it is not within ten seconds.
func connected(
    _ configuration: RedisConfiguration, observer: @escaping @Sendable (RedisEvent) -> Void = { _ in }
) async throws -> RedisClient {
    let client = try RedisClient(configuration, observer: observer)
    client.start()
    guard await eventually({ client.isConnected }) else { throw RedisError.notConnected }
    return client
}

/// What an observer was told, from any thread.
final class Told: Sendable {
    private let events = Mutex<[String]>([])
    var all: [String] { events.withLock { $0 } }

    func observe(_ event: RedisEvent) {
        let text =
            switch event {
            case .connected: "connected"
            case .disconnected(let reason): "disconnected: \(reason)"
            case .connectFailed(let reason, _): "failed: \(reason)"
            }
        events.withLock { $0.append(text) }
    }
}

/// The RedisError that `body` throws; nil where it throws none.
func redisError(_ body: () async throws -> Void) async -> RedisError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? RedisError
    }
}
