public import LifeCycle
public import ServiceSupport

/// What the executable runs: the table of webhooks, the dispatcher that follows it, and the server that tells about both.
public func dispatcherServices(_ context: ServiceContext) throws -> [any Service] {
    let configuration = context.configuration
    let dispatcher = try Dispatcher(context)
    let table = WebhookTable(
        configuration.logReader("\(context.name)-webhooks", logger: context.logger),
        topic: configuration.kafka.topics.webhooks, logger: context.logger, metrics: context.metrics,
        onChange: dispatcher.webhooksChanged)
    context.readiness.register("webhooks") {
        table.isReady ? .ready : .unavailable("the topic of webhooks has not been read to its end yet")
    }
    context.readiness.register("assignment") {
        dispatcher.hasAssignment ? .ready : .unavailable("the consumer group has not assigned partitions yet")
    }
    context.readiness.register("kafka") {
        dispatcher.canProduce ? .ready : .unavailable("no broker answers")
    }
    let stuckAfter = configuration.dispatcher.stuckAfter
    context.liveness.register { dispatcher.problem(limit: stuckAfter) }
    let breakers = BreakerRoute(settings: configuration.internalCalls, standing: dispatcher.standing)
    return [
        table, dispatcher, ServiceServer(context, listen: configuration.dispatcher.listen, routes: [breakers.route]),
    ]
}
