internal import CLinux
internal import Delivering
internal import EventLoops
internal import Kafka
internal import Logs
internal import Metrics
internal import Records
internal import Settling

/// Taking records and routing them.
extension Worker {
    /// Takes a partition over, with what `attempts` told about it.
    func own(_ queue: PartitionQueue, settlement: PartitionSettlement, attemptsEnd end: Int64) {
        let partition = OwnedPartition(queue, logID: settings.logID, settlement: settlement)
        partitions[partition.name] = partition
        if !isConfirmed { events.slept(self, commitPoints(of: [partition])) }
        attemptsEnd[partition.name.partition] = max(attemptsEnd[partition.name.partition] ?? 0, end)
        do {
            try queue.start(on: loop) { [unowned self] event in handle(event, of: partition.name) }
        } catch {
            log.critical("a partition's queue cannot be watched", metadata: ["error": "\(error)"])
        }
    }

    /// The partition's log is another one than before (its end lies below our position): everything about it starts afresh.
    func restart(_ name: TopicPartition, at offset: Int64) {
        guard let old = partitions[name], !old.isClosing else { return }
        let memory = SourceMemory(topic: name.topic, partition: name.partition, committed: offset)
        let note = attemptsEnd[name.partition] ?? 0
        partitions[name] = OwnedPartition(
            old.queue, logID: settings.logID,
            settlement: PartitionSettlement(offset: offset, note: note, memory: memory))
    }

    /// The partition's log begins at `offset` now. What lay below is recorded as covered at once: with nothing left to be read, the
    /// committed offset would stay below the log, and each next owner count the same loss.
    func skip(_ name: TopicPartition, to offset: Int64) {
        guard let partition = partitions[name], !partition.isClosing, offset > partition.settlement.position else {
            return
        }
        partition.settlement.openBatch(attemptsEnd: attemptsEnd[name.partition] ?? 0)
        partition.settlement.skip(to: offset)
        write(coverages: partition.settlement.closeBatch(), of: partition)
    }

    private func handle(_ event: PartitionEvent, of name: TopicPartition) {
        guard let partition = partitions[name], !partition.isClosing else { return }
        switch event {
        case .readable: partition.hasUnread = true
        case .offsetOutOfRange: events.outOfRange(self, name)
        case .failed(let error):
            log.warning("a partition cannot be read", metadata: ["partition": "\(name)", "error": "\(error)"])
        }
    }

    /// Records are left in librdkafka's queue while there is no room for them: its prefetch is bounded, and polling goes on.
    private var hasRoom: Bool { ready.count < DispatchSettings.maxReady && !isFull }

    /// It holds as much as it may. One record more than that at most, whatever its size.
    var isFull: Bool { held.bytes >= settings.maxHeldBytes }

    /// Partitions of which nothing is taken because of that.
    var pausedPartitions: Int {
        isFull ? partitions.values.count { $0.hasUnread && !$0.isClosing } : 0
    }

    func takeUnread() {
        guard hasRoom else { return }
        let table = currentTable()
        for partition in partitions.values where partition.hasUnread && !partition.isClosing {
            guard hasRoom else { return }
            drain(partition, table)
        }
    }

    private func drain(_ partition: OwnedPartition, _ table: DispatchTable) {
        var isOpen = false
        let count = partition.queue.drain(max: DispatchSettings.batchRecords, while: { hasRoom }) { record in
            if !isOpen {
                partition.settlement.openBatch(attemptsEnd: attemptsEnd[partition.name.partition] ?? 0)
                isOpen = true
            }
            take(record, partition, table)
        }
        partition.hasUnread = count == DispatchSettings.batchRecords || !hasRoom
        guard isOpen else { return }
        metrics.consumed(count)
        let coverages = partition.settlement.closeBatch()
        if !coverages.isEmpty { write(coverages: coverages, of: partition) }
    }

    private func take(_ record: borrowing Record, _ partition: OwnedPartition, _ table: DispatchTable) {
        let isDelivery = partition.name.topic == settings.topicDeliveries
        let fields = RecordFields(record, isDelivery: isDelivery)
        route(fields, isDelivery: isDelivery, table)
        guard let slot = partition.settlement.take(offset: record.offset, fanOut: routed.count), !routed.isEmpty
        else { return }
        let source = Source(record, fields, in: partition, slot: slot, fanOut: routed.count, held: held)
        for webhook in routed {
            let delivery = Delivery(source, to: webhook)
            let isSettled = partition.settlement.skipIfSettled(
                slot, offset: source.offset, timestamp: source.timestamp, webhook: delivery.webhookID)
            if isSettled { metrics.skipped.increment() } else { admit(delivery) }
        }
    }

    /// Fills `routed`.
    private func route(_ fields: RecordFields, isDelivery: Bool, _ table: DispatchTable) {
        routed.removeAll(keepingCapacity: true)
        if isDelivery {
            routed.append(fields.delivery.flatMap { table.byID[$0.webhookID] })
        } else if fields.defect != nil {
            routed.append(nil)
        } else {
            table.match(tenant: fields.tenant, type: fields.eventType) { webhook in
                if OperationalEvent.isAbout(webhook.id, type: fields.eventType, subject: fields.eventSubject) { return }
                routed.append(webhook)
            }
        }
    }

    private func admit(_ delivery: Delivery) {
        switch Admission(facts(delivery), maxAgeMs: settings.maxAgeMs) {
        case .send: _ = ready.append(delivery, bytes: 0, now: loop.now)
        case .park(let verdict): park(delivery, verdict)
        case .giveUp(let reason): conclude(delivery, .giveUp(reason: reason))
        case .cancel: cancel(delivery)
        }
    }

    private func facts(_ delivery: Delivery) -> AdmissionFacts {
        var facts = AdmissionFacts()
        facts.defect = delivery.source.fields.defect
        facts.generation = delivery.generation
        facts.webhook =
            switch delivery.webhook?.isEnabled {
            case true?: .enabled
            case false?: .disabled
            case nil: .absent
            }
        // One without an id is no delivery that anybody could have cancelled or lost.
        if let fields = delivery.source.fields.delivery, fields.id != nil {
            facts.isCancelled = fields.isCancelled
            facts.isPayloadLost = delivery.source.payload == nil
            facts.ageMs = clinux_realtime_ms() - delivery.since
        }
        return facts
    }
}
