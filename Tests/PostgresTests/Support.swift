import TestSupport

@testable import Postgres

extension PostgresServer {
    func configuration(_ database: String? = nil) -> PostgresConfiguration {
        var configuration = PostgresConfiguration()
        configuration.host = host
        configuration.port = port
        configuration.user = user
        configuration.password = password
        configuration.database = database ?? self.database
        configuration.maximumConnections = 4
        configuration.reconnectDelayMilliseconds = 20
        configuration.maximumReconnectDelayMilliseconds = 100
        return configuration
    }
}

/// A pool on the shared server and an empty database.
func makePool(_ change: (inout PostgresConfiguration) -> Void = { _ in }) async throws -> PostgresPool {
    let server = try await PostgresServer.shared()
    var configuration = server.configuration(try await server.makeDatabase())
    change(&configuration)
    return try PostgresPool(configuration)
}

/// The PostgresError that `body` throws; nil where it throws none.
func postgresError(_ body: () async throws -> Void) async -> PostgresError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? PostgresError
    }
}
