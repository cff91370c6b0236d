import Delivering
import EventLoops
import Kafka
import Logs
import Metrics
import Records
import ServiceSupport
import Synchronization
import TestSupport
import Testing

@testable import Dispatching

/// That a worker asks its window, whose own rules are tested apart.
@Suite(.timeLimit(.minutes(1))) struct StartWindowTests {
    private static let window = 16
    private static let webhooks = 100

    /// One record for many webhooks makes all their deliveries ready in one turn of the loop, in which none of them can end.
    @Test func noMoreRequestsStartInATurnThanTheWindowAllows() async throws {
        let receiver = try await Receiver(paths: ["/hook"])
        let harness = try await Harness(.inMemory, partitions: 1)
        let dispatcher = try await InProcess(
            harness, window: Self.window, webhooks: Self.webhooks, receiver.url("/hook"))
        try await harness.putEvents(1)
        #expect(await eventually(within: .seconds(30)) { receiver.total == Self.webhooks })
        let turns = dispatcher.started
        #expect(turns.first == Self.window && turns.allSatisfy { $0 <= Self.window }, "\(turns)")
        #expect(turns.reduce(0, +) == Self.webhooks)
        await dispatcher.stop()
        await harness.close()
        await receiver.stop()
    }
}

/// A dispatcher's worker and its coordinator on threads of the test.
private final class InProcess: Sendable {
    private let threads: (control: EventLoopThread, worker: EventLoopThread)
    private let worker: Worker
    private let coordinator: Coordinator
    private let turns = Mutex<[Int]>([])

    /// How many requests started in each turn that started any.
    var started: [Int] { turns.withLock { $0 } }

    init(_ harness: Harness, window: Int, webhooks: Int, _ url: String) async throws {
        let configuration = harness.configuration
        let log = Logger(label: "test", output: LogOutput(service: "test") { _ in })
        let settings = DispatchSettings(configuration, logID: "log")
        let metrics = DispatcherMetrics(MetricsRegistry())
        let table = try Self.table(configuration, webhooks: webhooks, url: url, log)
        threads = (try EventLoopThread(), try EventLoopThread())
        worker = try Worker(
            number: 0, settings: settings, loop: threads.worker.loop, metrics: metrics, log: log, open: OpenRequests(),
            currentTable: { table })
        worker.window = StartWindow(maximum: window)
        coordinator = Coordinator(
            settings, workers: [worker], loop: threads.control.loop, metrics: metrics, log: log, onReady: { _ in })
        worker.events = coordinator.events(onHealth: { _ in })
        threads.worker.start(name: "worker")
        threads.control.start(name: "control")
        let producer = configuration.producer("test", logger: log)
        try await threads.worker.run { [self] loop in
            Result {
                try worker.begin(producer)
                var before: UInt64 = 0
                loop.atEndOfTurn { [self] in
                    let now = metrics.attempts.value
                    if now > before { turns.withLock { $0.append(Int(now - before)) } }
                    before = now
                }
            }
        }.get()
        let consumer = configuration.consumer(
            "test", group: configuration.dispatcher.group, instanceID: nil, logger: log)
        let reader = configuration.logReader("test-reader", logger: log)
        try await threads.control.run { [coordinator] _ in Result { try coordinator.begin(consumer, reader) } }.get()
    }

    /// Webhooks that take everything.
    private static func table(_ configuration: Configuration, webhooks: Int, url: String, _ log: Logger) throws
        -> DispatchTable
    {
        let sealer = try SecretSealer(configuration.sealing)
        let all = try (0..<webhooks).map { number in
            var webhook = Webhook()
            webhook.id = "wh_\(number)"
            webhook.tenant = "default"
            webhook.version = 1
            webhook.url = url
            webhook.eventTypes = ["*"]
            webhook.secrets = [try sealer.seal(Harness.secret, of: webhook.id)]
            return webhook
        }
        return DispatchTableCompiler(sealer: sealer, defaults: WebhookDefaults(configuration), log: log)
            .compile(WebhookSnapshot(all))
    }

    func stop() async {
        await withCheckedContinuation { continuation in
            threads.control.loop.execute { [coordinator] in
                coordinator.stop(graceMs: 1_000) { continuation.resume() }
            }
        }
        await withCheckedContinuation { continuation in
            threads.worker.loop.execute { [worker] in worker.close(flushMs: 5_000) { continuation.resume() } }
        }
        await threads.worker.stop()
        await threads.control.stop()
    }
}
