internal import EventLoops
internal import Kafka
internal import Logs
internal import ServiceSupport

/// The dispatcher's threads: the control loop with the coordinator, and the workers'.
struct DispatchProcess: Sendable {
    private let control: EventLoopThread
    private let workerThreads: [EventLoopThread]
    private let workers: [Worker]
    private let coordinator: Coordinator
    private let log: Logger
    /// Of all its threads.
    let heartbeats: [Heartbeat]

    /// How long a worker's producer may take for what is still queued when it closes.
    private static let flushMs: UInt64 = 5_000

    /// Starts the threads and joins the group. Throws where Kafka's or HTTP's settings are wrong.
    static func start(
        _ settings: DispatchSettings, _ context: ServiceContext, _ metrics: DispatcherMetrics, _ table: CurrentTable,
        onAssigned: @escaping @Sendable (Bool) -> Void,
        onHealth: @escaping @Sendable (_ worker: Int, Bool) -> Void
    ) async throws -> DispatchProcess {
        let configuration = context.configuration
        let log = context.logger
        let control = try EventLoopThread()
        let open = OpenRequests()
        var workers: [Worker] = []
        var threads: [EventLoopThread] = []
        for number in 0..<settings.workers {
            let thread = try EventLoopThread()
            workers.append(
                try Worker(
                    number: number, settings: settings, loop: thread.loop, metrics: metrics, log: log, open: open,
                    currentTable: { table.value }))
            threads.append(thread)
        }
        let coordinator = Coordinator(
            settings, workers: workers, loop: control.loop, metrics: metrics, log: log, onReady: onAssigned)
        for (worker, thread) in zip(workers, threads) {
            worker.events = coordinator.events(onHealth: { onHealth(worker.number, $0) })
            thread.start(name: "dispatch-\(worker.number)")
            let producer = producer(context, worker.number)
            try await thread.run { _ in Result { try worker.begin(producer) } }.get()
        }
        control.start(name: "dispatch-control")
        let consumer = consumer(context)
        let reader = configuration.logReader("\(context.name)-reader", logger: log)
        try await control.run { _ in Result { try coordinator.begin(consumer, reader) } }.get()
        var heartbeats = [Heartbeat("dispatch-control", of: control.loop)]
        for (number, thread) in threads.enumerated() {
            heartbeats.append(Heartbeat("dispatch-\(number)", of: thread.loop))
        }
        return DispatchProcess(
            control: control, workerThreads: threads, workers: workers, coordinator: coordinator, log: log,
            heartbeats: heartbeats)
    }

    private static func producer(_ context: ServiceContext, _ worker: Int) -> ProducerConfiguration {
        var producer = context.configuration.producer("\(context.name)-\(worker)", logger: context.logger)
        producer.lingerMilliseconds = DispatchSettings.lingerMs
        return producer
    }

    private static func consumer(_ context: ServiceContext) -> ConsumerConfiguration {
        let settings = context.configuration.dispatcher
        var consumer = context.configuration.consumer(
            context.name, group: settings.group, instanceID: settings.instanceID.isEmpty ? nil : settings.instanceID,
            logger: context.logger)
        consumer.fetchMinBytes = DispatchSettings.fetchMinBytes
        consumer.fetchWaitMilliseconds = min(consumer.fetchWaitMilliseconds, DispatchSettings.fetchWaitMs)
        return consumer
    }

    /// Gives the partitions back, leaves the group, closes the producers, ends the threads.
    /// - Parameter graceMs: How long running requests may go on.
    func stop(graceMs: UInt64) async {
        await withCheckedContinuation { continuation in
            control.loop.execute { coordinator.stop(graceMs: graceMs) { continuation.resume() } }
        }
        for (worker, thread) in zip(workers, workerThreads) {
            await withCheckedContinuation { continuation in
                thread.loop.execute { worker.close(flushMs: Self.flushMs) { continuation.resume() } }
            }
            await thread.stop()
        }
        await control.stop()
    }
}
