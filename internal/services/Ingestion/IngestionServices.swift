public import HTTPServing
public import LifeCycle
public import ServiceSupport

/// What the executable runs: the topics are seen to, then events are taken.
public func ingestionServices(_ context: ServiceContext) throws -> [any Service] {
    let configuration = context.configuration
    // In profile development everybody may send.
    let routes = try eventRoutes(context, at: "/events", isOpen: configuration.isDevelopment)
    let server = ServiceServer(context, listen: configuration.ingestion.listen) { server in
        server.loops = configuration.ingestion.threads
    } directRoutes: { loop in
        try routes(loop)
    }
    let topics = context.readiness.register("topics")
    return [TopicsService(context) { topics.set(.ready) }, server]
}

/// The routes that take events, one by one at `path` and by the batch at `path`/batch, for a server of the caller's. They register their
/// metrics, and `kafka` and `redis`, by which `/ready` tells whether events can be taken and their ids remembered.
/// - Parameters:
///   - isOpen: Whether events are taken without a token, for tenant `default`.
///   - isRequired: Whether the service is of no use without Kafka.
public func eventRoutes(
    _ context: ServiceContext, at path: String, isOpen: Bool, isRequired: Bool = true
) throws -> HTTPServer.DirectRoutes {
    let configuration = context.configuration
    let metrics = IngestionMetrics(context.metrics, topic: configuration.kafka.topics.events)
    let health = LoopHealth(context.readiness, isRequired: isRequired)
    return { loop in
        try IngestionLoop(context, path: path, isOpen: isOpen, metrics: metrics, health: health, loop: loop).routes
    }
}
