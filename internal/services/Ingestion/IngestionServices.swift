public import HTTPServing
public import LifeCycle
public import ServiceSupport

/// What the executable runs: the topics are seen to, then events are taken.
public func ingestionServices(_ context: ServiceContext) throws -> [any Service] {
    let configuration = context.configuration
    // In profile development everybody may send.
    let routes = try eventRoutes(context, at: "/events", isOpen: configuration.isDevelopment)
    let server = ServiceServer(
        context, listen: configuration.ingestion.listen, configure: { takeEvents(configuration.events, &$0) },
        directRoutes: routes)
    return [TopicsService(context), server]
}

/// The route that takes events, for a server of the caller's, which needs `takeEvents` too. It registers its metrics and `kafka`, by which
/// `/ready` tells whether events can be taken.
/// - Parameters:
///   - isOpen: Whether events are taken without a token, for tenant `default`.
///   - isRequired: Whether the service is of no use without Kafka.
public func eventRoutes(
    _ context: ServiceContext, at path: String, isOpen: Bool, isRequired: Bool = true
) throws -> HTTPServer.DirectRoutes {
    let configuration = context.configuration
    let metrics = IngestionMetrics(context.metrics, topic: configuration.kafka.topics.events)
    let access = try EventAccess(configuration, isOpen: isOpen)
    let kafka = context.readiness.register("kafka", isRequired: isRequired)
    return { loop in
        try IngestionLoop(context, path: path, metrics: metrics, access: access, health: kafka, loop: loop).routes
    }
}

/// Lets a server take bodies as large as events are.
public func takeEvents(_ settings: EventSettings, _ server: inout HTTPServerConfiguration) {
    server.maximumBodyBytes = max(server.maximumBodyBytes, settings.maxSizeBytes)
}
