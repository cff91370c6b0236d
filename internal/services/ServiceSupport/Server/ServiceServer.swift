public import HTTPServing
internal import JSONScanning
public import LifeCycle
internal import Logs
internal import Metrics
public import Settings
internal import Synchronization

/// A service's HTTP server: `/health`, `/ready`, `/metrics` and the service's own routes, measured.
public final class ServiceServer: Service {
    public let name = "ServiceServer"
    private let address: HostPort
    private let server: HTTPServer
    private let context: ServiceContext

    /// - Parameters:
    ///   - address: A numeric host, and the port.
    ///   - configure: Changes what the server bears: threads, body size, time limits.
    ///   - directRoutes: Made on each of the server's loops; see `HTTPServer`.
    public init(
        _ context: ServiceContext, listen address: HostPort, routes: [HTTPRoute] = [],
        configure: (inout HTTPServerConfiguration) -> Void = { _ in },
        directRoutes: @escaping HTTPServer.DirectRoutes = { _ in [] }
    ) {
        self.context = context
        self.address = address
        var configuration = HTTPServerConfiguration(host: address.host, port: address.port)
        configure(&configuration)
        let metrics = HTTPMetrics(context.metrics)
        server = HTTPServer(
            configuration, routes: Self.operational(context) + routes, directRoutes: directRoutes,
            onResponse: metrics.answered)
    }

    /// Serves until shutdown, then answers what is under way (at most 8 s) and returns.
    public func run() async throws {
        let port = try await server.start()
        context.logger.info("listening", metadata: [LogKey.address: "\(HostPort(host: address.host, port: port))"])
        await gracefulShutdown()
        await server.stop(withinMilliseconds: 8_000)
    }

    private static func stuck(_ problems: [String], _ service: String) -> [UInt8] {
        var json = JSONWriter()
        json.object { json in
            json.member("status", "stuck")
            json.member("service", service)
            json.member("version", martletVersion)
            json.member("reason", problems.joined(separator: "; "))
        }
        return json.bytes
    }

    private static func operational(_ context: ServiceContext) -> [HTTPRoute] {
        let metrics = context.metrics
        let readiness = context.readiness
        let liveness = context.liveness
        var health = JSONWriter()
        health.object { writer in
            writer.member("status", "ok")
            writer.member("service", context.name)
            writer.member("version", martletVersion)
        }
        let healthBody = health.bytes
        return [
            HTTPRoute("GET", "/health") { _ in
                let problems = liveness.problems
                return problems.isEmpty ? .json(healthBody) : .json(status: 503, stuck(problems, context.name))
            },
            HTTPRoute("GET", "/ready") { _ in
                let report = await readiness.report()
                return .json(status: report.isReady ? 200 : 503, report.json)
            },
            HTTPRoute("GET", "/metrics") { _ in
                HTTPResponse(
                    status: 200, headers: [("content-type", MetricsRegistry.contentType)],
                    body: metrics.prometheusText())
            },
        ]
    }
}
