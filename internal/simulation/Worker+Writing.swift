internal import Delivering
internal import Records
internal import Scheduling
internal import Settling

/// Writing to Kafka, in the order that `DeliveryProgress` gives, until it is acknowledged.
extension Worker {
    private enum Write {
        case record(Delivery)
        case outcome(Delivery)
        case coverage(OwnedPartition, [PartitionSettlement.Coverage])
    }

    func begin(writing delivery: Delivery) {
        delivery.partition.busy += 1
        let kind = delivery.outcome.kind
        let step = delivery.progress.decided(carriesOn: kind == .failed || kind == .parked || kind == .dead)
        world.note(delivery.id, "\(host.name) decides \(delivery.outcome.kind) \(delivery.outcome.reason)")
        if world.mutation == .outcomeFirst, step == .writeRecord {
            // The record is written beside it, and nobody waits.
            produce(record: delivery) { _ in }
            return perform(delivery.progress.acknowledged(), delivery)
        }
        perform(step, delivery)
    }

    private func perform(_ step: DeliveryProgress.Step, _ delivery: Delivery) {
        switch step {
        case .writeRecord: write(.record(delivery))
        case .writeOutcome: write(.outcome(delivery))
        case .settle:
            delivery.partition.settlement.settle(delivery.slot)
            delivery.partition.busy -= 1
            if let ticket = delivery.ticket { unacknowledged.remove(ticket) }
            if delivery.isOpen { open -= 1 }
        }
    }

    func write(coverages: [PartitionSettlement.Coverage], of partition: OwnedPartition) {
        partition.busy += 1
        write(.coverage(partition, coverages))
    }

    private func write(_ write: Write) {
        let report: (WriteReport) -> Void = { [weak self] report in
            guard let self else { return }
            guard case .acknowledged(let offset) = report else {
                return world.timeline.after(Figures.rewriteMs, host) { [weak self] in self?.write(write) }
            }
            acknowledged(write, offset)
            turn()
        }
        switch write {
        case .record(let delivery): produce(record: delivery, report)
        case .outcome(let delivery): produce(delivery.outcome, delivery.partition, report)
        case .coverage(let partition, let coverages):
            var outcome = Outcome()
            outcome.kind = .covered
            outcome.sourceTopic = partition.place.topic.name
            outcome.sourcePartition = Int32(partition.place.partition)
            outcome.sourceOffset = coverages[0].span.first
            outcome.spans = coverages.map(\.span)
            produce(outcome, partition, report)
        }
    }

    private func acknowledged(_ write: Write, _ offset: Int64?) {
        switch write {
        case .record(let delivery):
            delivery.outcome.recordOffset = offset ?? -1
            perform(delivery.progress.acknowledged(), delivery)
        case .outcome(let delivery):
            advanceAttempts(delivery.partition, offset)
            perform(delivery.progress.acknowledged(), delivery)
        case .coverage(let partition, let coverages):
            advanceAttempts(partition, offset)
            for coverage in coverages { partition.settlement.settle(coverage.slot) }
            partition.busy -= 1
        }
    }

    private func advanceAttempts(_ partition: OwnedPartition, _ offset: Int64?) {
        guard let offset else { return }
        attemptsEnd[partition.place.partition] = max(attemptsEnd[partition.place.partition] ?? 0, offset + 1)
    }

    private func produce(record delivery: Delivery, _ report: @escaping (WriteReport) -> Void) {
        let (fields, wall) = (delivery.carriedOn, world.wall(host))
        let isDead = delivery.outcome.kind == .dead
        let place = WebhookHold(reason: delivery.outcome.reason).map { _ in
            LanePlace(lane: LaneID(webhook: fields.webhook), sinceMs: fields.since)
        }
        let value =
            isDead ? Record.Value.dead(fields) : .waiting(fields, dueAtMs: delivery.outcome.dueAtMs, place: place)
        let record = Record(
            timestamp: wall, key: .delivery(fields.id, generation: fields.generation), value: value)
        let topic = isDead ? Topic.deadLetters : .retries
        world.kafka.produce(
            record, to: Place(topic: topic, partition: delivery.partition.place.partition), from: host,
            timeoutMs: Figures.messageTimeoutMs, report)
    }

    private func produce(
        _ outcome: Outcome, _ partition: OwnedPartition, _ report: @escaping (WriteReport) -> Void
    ) {
        world.kafka.produce(
            Record(timestamp: world.wall(host), value: .outcome(outcome)), to: attempts(partition), from: host,
            timeoutMs: Figures.messageTimeoutMs, report)
    }
}
