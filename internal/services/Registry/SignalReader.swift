internal import Editing
internal import EventLoops
internal import Kafka
internal import LifeCycle
internal import Logs
internal import Metrics
internal import Records
internal import ServiceSupport
internal import WireFormat

/// Heeds what dispatchers tell in topic `signals`: a webhook whose endpoint is gone for good (410) or has failed for too long is switched off, and
/// since when one fails is noted. The tenant's other webhooks are told, by an event in the same transaction.
///
/// Every process reads the whole topic from its start, each time: signals are few, and one about another version than the present one
/// says nothing, so reading them again changes nothing and no position need be kept.
final class SignalReader: Service {
    let name = "SignalReader"
    private let store: WebhookStore
    private let kafka: KafkaSettings
    /// 0: never.
    private let disableAfterMs: Int64
    private let metrics: RegistryMetrics
    private let logger: Logger
    private let clock: @Sendable () -> Int64
    private let limiter = LogLimiter(every: .seconds(5))

    init(
        _ context: ServiceContext, store: WebhookStore, metrics: RegistryMetrics, clock: @escaping @Sendable () -> Int64
    ) {
        self.store = store
        self.metrics = metrics
        self.clock = clock
        logger = context.logger
        kafka = context.configuration.kafka
        disableAfterMs = Int64(context.configuration.breaker.disableAfter.milliseconds)
    }

    func run() async throws {
        // The newest are what counts; those left out come again at the next start.
        let (signals, inbox) = AsyncStream<Signal>.makeStream(bufferingPolicy: .bufferingNewest(100_000))
        let thread = try EventLoopThread()
        thread.start(name: "signals")
        let started = await thread.run { [self] loop in
            Result { () throws(KafkaError) in Confined(try follow(on: loop, inbox)) }
        }
        if case .success = started {
            try await cancelWhenGracefulShutdown { [self] in
                for await signal in signals { await apply(signal) }
            }
        }
        await thread.run { _ in if case .success(let follower) = started { follower.value.stop() } }
        await thread.stop()
        _ = try started.get()
    }

    private func follow(
        on loop: EventLoop, _ inbox: AsyncStream<Signal>.Continuation
    ) throws(KafkaError) -> TopicFollower {
        let configuration = LogReaderConfiguration(kafka.client("webhook-registry", logger: logger))
        return try TopicFollower(
            configuration, topic: kafka.topics.signals, on: loop,
            record: { [metrics] record in
                guard let value = record.value, let signal = try? Signal(decoding: value) else {
                    return metrics.signals.labelled("malformed").increment()
                }
                if signal.kind != .unspecified { inbox.yield(signal) }
            },
            event: { [logger, limiter] event in
                if case .failed(let error) = event {
                    logger.warning("reading signals", metadata: [LogKey.error: "\(error)"], limit: limiter)
                }
            })
    }

    /// Goes on trying while the database is away.
    private func apply(_ signal: Signal) async {
        while !Task.isCancelled {
            do {
                let change = try await store.change(
                    signal.webhookID, of: signal.tenant, expecting: nil, at: clock(), telling: OutboxEvent.init
                ) { [disableAfterMs] in $0.applying(signal, disableAfterMs: disableAfterMs) ?? $0 }
                return note(change)
            } catch is RequestProblem {
                return metrics.signals.labelled("unknown_webhook").increment()
            } catch {
                guard !Task.isCancelled else { return }
                logger.warning("a signal waits", metadata: [LogKey.error: "\(error)"], limit: limiter)
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    private func note(_ change: StoredChange) {
        guard change.outboxNumber != nil else { return metrics.signals.labelled("stale").increment() }
        let webhook = change.webhook
        let result = !webhook.enabled ? "disabled" : webhook.failingSinceMs == 0 ? "recovered" : "failing"
        metrics.signals.labelled(result).increment()
        logger.notice(
            "a signal changed a webhook",
            metadata: [
                "change": "\(result)", LogKey.reason: "\(webhook.disabledReason)", LogKey.webhook: "\(webhook.id)",
                LogKey.tenant: "\(webhook.tenant)",
            ])
    }
}

/// Something that belongs to the reader's thread, on its way there and back.
///
/// `@unchecked Sendable` because the holder only passes it on; `value` is touched on that thread alone.
private struct Confined<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}
