internal import CLinux
internal import Cryptography
internal import EventLoops
internal import Kafka
internal import Logs
internal import Metrics
internal import Records
internal import Settling
internal import WireFormat

/// What waits for Kafka's acknowledgement.
enum Write {
    /// A delivery's payload, to `retries` or `dead-letters`.
    case record(Delivery)
    case outcome(Delivery)
    case coverage(OwnedPartition, [PartitionSettlement.Coverage])
    case signal(Signal)
}

/// Writing to Kafka, in the order that `DeliveryProgress` gives, until it is acknowledged.
extension Worker {
    /// Before a write is tried again that Kafka did not take.
    private static let retryDelayMs: UInt64 = 100

    func perform(_ step: DeliveryProgress.Step, _ delivery: Delivery) {
        switch step {
        case .writeRecord: write(.record(delivery))
        case .writeOutcome: write(.outcome(delivery))
        case .settle:
            let partition = delivery.source.partition
            partition.settlement.settle(delivery.source.slot)
            partition.busy -= 1
            if let ticket = delivery.ticket { unacknowledged.remove(ticket) }
            if delivery.isOpen { open.release() }
            metrics.settled(delivery)
        }
    }

    func write(coverages: [PartitionSettlement.Coverage], of partition: OwnedPartition) {
        partition.busy += 1
        write(.coverage(partition, coverages))
    }

    func write(signal kind: Signal.Kind, _ webhook: CompiledWebhook, _ nowMs: Int64, sinceMs: Int64 = 0) {
        var signal = Signal()
        signal.kind = kind
        signal.webhookID = webhook.id
        signal.tenant = webhook.tenant
        signal.webhookVersion = webhook.version
        signal.atMs = nowMs
        signal.sinceMs = sinceMs
        write(.signal(signal))
    }

    private func write(_ write: Write) {
        let token = writes.insert(write)
        let result =
            switch write {
            case .record(let delivery): produce(record: delivery, token)
            case .outcome(let delivery): produce(outcome: delivery, token)
            case .coverage(let partition, let coverages): produce(coverages: coverages, of: partition, token)
            case .signal(let signal): produce(signal: signal, token)
            }
        switch result {
        case .queued: break
        case .tooLarge: tooLarge(token)
        case .queueFull, .failed: again(token)
        }
    }

    private func again(_ token: UInt64) {
        guard let write = writes.remove(token) else { return }
        metrics.rewrites.increment()
        loop.after(milliseconds: Self.retryDelayMs) { [weak self] in self?.write(write) }
    }

    /// A payload that no topic takes becomes a dead letter by reference: where the event lies is in its headers.
    private func tooLarge(_ token: UInt64) {
        guard case .record(let delivery) = writes.remove(token) else {
            preconditionFailure("an outcome, a coverage or a signal is larger than any record may be")
        }
        log.warning("a payload is too large for its topic", metadata: ["delivery": "\(delivery.id)"])
        delivery.isByReference = true
        delivery.giveUp("payload_too_large")
        write(.record(delivery))
    }

    func reported(_ token: UInt64, _ report: DeliveryReport) {
        guard case .acknowledged(let partition, let offset) = report else { return again(token) }
        switch writes.remove(token) {
        case .record(let delivery):
            delivery.outcome.recordTopic = topicName(of: delivery)
            delivery.outcome.recordOffset = offset ?? -1
            perform(delivery.progress.acknowledged(), delivery)
        case .outcome(let delivery):
            advanceAttempts(partition, offset)
            perform(delivery.progress.acknowledged(), delivery)
        case .coverage(let owned, let coverages):
            advanceAttempts(partition, offset)
            for coverage in coverages { owned.settlement.settle(coverage.slot) }
            owned.busy -= 1
        case .signal, nil: break
        }
    }

    private func advanceAttempts(_ partition: Int32, _ offset: Int64?) {
        guard let offset else { return }
        attemptsEnd[partition] = max(attemptsEnd[partition] ?? 0, offset + 1)
    }

    // MARK: Records

    private func topicName(of delivery: Delivery) -> String {
        delivery.outcome.kind == .dead ? settings.topicDeadLetters : settings.topicRetries
    }

    /// The payload as it came, its event's headers, and the delivery's own.
    private func produce(record delivery: Delivery, _ token: UInt64) -> ProduceResult {
        let isDead = delivery.outcome.kind == .dead
        headers = delivery.source.fields.eventHeaders
        delivery.appendHeaders(to: &headers)
        let key =
            isDead ? "\(delivery.id)" : "\(RetryKey.delivery(delivery.id, generation: delivery.outcome.generation))"
        // A value, never null: that would be a tombstone in a compacted topic.
        let payload =
            (delivery.isByReference ? nil : delivery.source.payload) ?? UnsafeRawBufferPointer(start: nil, count: 0)
        return produce(isDead ? topics.deadLetters : topics.retries, delivery.source.partition, key, payload, token)
    }

    private func produce(
        _ topic: ProducerTopic, _ partition: OwnedPartition, _ key: String, _ value: UnsafeRawBufferPointer,
        _ token: UInt64
    ) -> ProduceResult {
        var key = key
        return key.withUTF8 { key in
            producer.produce(
                to: topic, partition: partition.name.partition, key: UnsafeRawBufferPointer(key), value: value,
                headers: headers, token: token)
        }
    }

    private func produce(outcome delivery: Delivery, _ token: UInt64) -> ProduceResult {
        delivery.id.withText { produce(delivery.outcome, delivery.source.partition, key: $0, token) }
    }

    private func produce(
        coverages: [PartitionSettlement.Coverage], of partition: OwnedPartition, _ token: UInt64
    ) -> ProduceResult {
        var outcome = Outcome()
        outcome.kind = .covered
        outcome.sourceTopic = partition.name.topic
        outcome.sourcePartition = partition.name.partition
        outcome.sourceOffset = coverages[0].span.first
        outcome.requestID = random.next()
        outcome.startedAtMs = clinux_realtime_ms()
        outcome.spans = coverages.map(\.span)
        let key: StaticString = "covered"
        return produce(
            outcome, partition, key: UnsafeRawBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount), token)
    }

    private func produce(
        _ outcome: Outcome, _ partition: OwnedPartition, key: UnsafeRawBufferPointer, _ token: UInt64
    ) -> ProduceResult {
        writer.removeAll()
        outcome.write(to: &writer)
        return writer.bytes.withUnsafeBytes { value in
            producer.produce(
                to: topics.attempts, partition: partition.name.partition, key: key, value: value, token: token)
        }
    }

    private func produce(signal: Signal, _ token: UInt64) -> ProduceResult {
        var key = signal.webhookID
        return signal.encoded().withUnsafeBytes { value in
            key.withUTF8 { key in
                producer.produce(to: topics.signals, key: UnsafeRawBufferPointer(key), value: value, token: token)
            }
        }
    }
}
