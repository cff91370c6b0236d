internal import Cryptography
internal import Editing
internal import Kafka
internal import Logs
internal import Metrics
internal import Records
internal import ServiceSupport
internal import Synchronization
internal import WireFormat

/// Compares topic `webhooks` with the table (`TopicComparison` says how) and carries the remedies out.
struct Reconciler: Sendable {
    private static let page = 1_000

    let store: WebhookStore
    let kafka: KafkaSettings
    let topic: String
    let metrics: RegistryMetrics
    let logger: Logger

    /// Throws `KafkaError` or `PostgresError`; what has been put right until then stays so.
    func run(_ producer: AsyncProducer) async throws {
        var comparison = TopicComparison(topic: try await readTopic())
        var last = ""
        while true {
            let rows = try await store.page(after: last, count: Self.page)
            guard let end = rows.last else { break }
            last = end.id
            for webhook in rows {
                let value = webhook.encoded()
                guard let remedy = comparison.compare(webhook.id, Self.state(webhook.version, value)) else { continue }
                try await carryOut(remedy, webhook, value, producer)
            }
        }
        for id in comparison.leftovers {
            try await producer.send(to: topic, key: Array(id.utf8), value: nil)
            note("tombstone", id)
        }
    }

    private func carryOut(
        _ remedy: TopicComparison.Remedy, _ webhook: Webhook, _ value: [UInt8], _ producer: AsyncProducer
    ) async throws {
        switch remedy {
        case .publish:
            try await producer.send(to: topic, key: Array(webhook.id.utf8), value: value)
            note("publish", webhook.id)
        case .raise(let floor):
            do {
                _ = try await store.change(
                    webhook.id, of: nil, expecting: webhook.version, at: webhook.updatedAtMs, above: floor, force: true
                ) { $0 }
                note("raise", webhook.id)
            } catch is RequestProblem {
                // Changed or deleted meanwhile, which publishes it anyway; the next comparison looks again.
            }
        }
    }

    private func note(_ remedy: String, _ id: String) {
        metrics.reconciled.labelled(remedy).increment()
        logger.info("topic webhooks put right", metadata: [LogKey.webhook: "\(id)", "remedy": "\(remedy)"])
    }

    /// The newest record of each key. A value that is no webhook has version 0, so that whatever the table has is published over it.
    private func readTopic() async throws -> [String: TopicComparison.State] {
        let reader = try await AsyncLogReader.start(
            LogReaderConfiguration(kafka.client("webhook-registry", logger: logger)))
        let contents = Contents()
        do {
            // A read of a cluster that is away would go on for its whole timeout: closing the reader fails it at once.
            try await withTaskCancellationHandler {
                for partition in 0..<Int32(kafka.partitions) {
                    _ = try await reader.read(TopicPartition(topic, partition), from: 0) { contents.take($0) }
                }
            } onCancel: {
                Task { await reader.close() }
            }
        } catch {
            await reader.close()
            throw error
        }
        await reader.close()
        return contents.states.withLock { $0 }
    }

    private final class Contents: Sendable {
        let states = Mutex<[String: TopicComparison.State]>([:])

        func take(_ record: borrowing Record) {
            guard let key = record.key else { return }
            let id = String(decoding: key, as: UTF8.self)
            guard let value = record.value else { return states.withLock { $0[id] = nil } }
            let version = (try? Webhook(decoding: value))?.version ?? 0
            let state = Reconciler.state(version, value)
            states.withLock { $0[id] = state }
        }
    }

    private static func state(_ version: UInt64, _ value: [UInt8]) -> TopicComparison.State {
        value.withUnsafeBytes { state(version, $0) }
    }

    private static func state(_ version: UInt64, _ value: UnsafeRawBufferPointer) -> TopicComparison.State {
        TopicComparison.State(version: version, digest: Array(SHA256.digest(of: value).prefix(16)))
    }
}
