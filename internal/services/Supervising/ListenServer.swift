internal import HTTPServing
public import LifeCycle
internal import StandardWebhooks

extension ListenReceiver {
    /// A server that hands every POST to this receiver.
    func server(host: String, port: UInt16) -> HTTPServer {
        var configuration = HTTPServerConfiguration(host: host, port: port)
        configuration.maximumBodyBytes = 4 << 20
        // A held-back answer must not meet the server's own limit first.
        configuration.handlerTimeoutMilliseconds = 700_000
        return HTTPServer(configuration, routes: [HTTPRoute("POST", "/{path...}") { await self.handle($0) }])
    }
}

/// `martlet listen`: a local receiver that verifies signatures and prints what arrives, until it is told to stop.
public struct ListenService: Service {
    public let name = "listen"
    private let options: ListenOptions
    private let output: CommandOutput

    public init(_ options: ListenOptions, output: CommandOutput = .standard) {
        self.options = options
        self.output = output
    }

    /// Throws `ListenOptionError`, `WebhookKeyError` or `HTTPServerError`, each with a description for people.
    public func run() async throws {
        try options.check()
        let receiver = try ListenReceiver(options) { [options, output] reception in
            output.result(options.json ? reception.json : reception.text)
        }
        let server = receiver.server(host: options.host, port: options.port)
        let port = try await server.start()
        output.note("listening on http://\(options.host):\(port)  (any path; Ctrl-C ends it)")
        if options.secrets.isEmpty { output.note("signatures are not verified: give --secret whsec_… to do so") }
        await gracefulShutdown()
        await server.stop(withinMilliseconds: 2_000)
    }
}
