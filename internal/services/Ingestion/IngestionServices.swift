internal import HTTPServing
public import LifeCycle
public import ServiceSupport

/// What the executable runs: the topics are seen to, then events are taken.
public func ingestionServices(_ context: ServiceContext) throws -> [any Service] {
    let configuration = context.configuration
    let metrics = IngestionMetrics(context.metrics, topic: configuration.kafka.topics.events)
    let access = try EventAccess(configuration)
    let kafka = context.readiness.register("kafka")
    let topics = TopicsService(context)
    let server = ServiceServer(context, listen: configuration.ingestion.listen) { server in
        // What is a little too large gets a problem; what is much too large, h2o's own 413.
        server.maximumBodyBytes = configuration.events.maxSizeBytes + (1 << 20)
    } directRoutes: { loop in
        try IngestionLoop(context, metrics: metrics, access: access, health: kafka, loop: loop).routes
    }
    return [topics, server]
}
