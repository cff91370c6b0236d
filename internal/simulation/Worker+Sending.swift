internal import Delivering
internal import Records
internal import Settling

/// Taking records, starting requests, and what their ends mean.
extension Worker {
    private var hasRoom: Bool { ready.count < Figures.maxReady && held.bytes < figures.maxHeldBytes }

    func takeUnread() {
        guard hasRoom, world.kafka.isUp else { return }
        for partition in sorted(partitions) where partition.hasUnread && !partition.isClosing {
            guard hasRoom else { return }
            drain(partition)
        }
    }

    private func drain(_ partition: OwnedPartition) {
        let log = world.kafka[partition.place]
        guard partition.position >= log.start else {
            partition.hasUnread = false
            return dispatcher.reposition(partition.place)
        }
        let (records, next) = log.read(from: partition.position, limit: figures.fetch)
        partition.position = next
        partition.hasUnread = records.count == figures.fetch
        guard !records.isEmpty else { return }
        let note = attemptsEnd[partition.place.partition] ?? 0
        if world.mutation == .noteNotInherited {
            partition.freshNotes.append((partition.settlement.position, world.kafka[attempts(partition)].end))
        }
        partition.settlement.openBatch(attemptsEnd: note)
        for record in records { take(record, partition) }
        let coverages = partition.settlement.closeBatch()
        if !coverages.isEmpty { write(coverages: coverages, of: partition) }
    }

    func attempts(_ partition: OwnedPartition) -> Place {
        Place(topic: .attempts, partition: partition.place.partition)
    }

    private func take(_ record: Record, _ partition: OwnedPartition) {
        var webhooks: [SimulatedWebhook?]
        switch record.value {
        case .event(let type):
            webhooks = dispatcher.webhooks.filter { $0.exists && $0.isEnabled && $0.types.contains(type) }
        case .delivery(let fields):
            webhooks = [dispatcher.webhooks.first { $0.exists && $0.id == fields.webhook }]
        default: webhooks = []
        }
        guard let slot = partition.settlement.take(offset: record.offset, fanOut: webhooks.count), !webhooks.isEmpty
        else { return }
        for webhook in webhooks {
            let delivery = Delivery(
                record, in: partition, slot: slot, fanOut: webhooks.count, webhook: webhook, held: held)
            let isSettled = partition.settlement.skipIfSettled(
                slot, offset: record.offset, timestamp: record.timestamp, webhook: delivery.webhookID)
            if !isSettled { admit(delivery) }
        }
    }

    private func admit(_ delivery: Delivery) {
        var facts = AdmissionFacts()
        facts.generation = delivery.fields.generation
        facts.webhook = delivery.webhook.map { $0.isEnabled ? .enabled : .disabled } ?? .absent
        if !delivery.isEvent {
            facts.isCancelled = delivery.fields.isCancelled
            facts.isPayloadLost = delivery.fields.isPayloadLost
            facts.ageMs = world.wall(host) - delivery.fields.since
        }
        switch Admission(facts, maxAgeMs: figures.maxAgeMs) {
        case .send: _ = ready.append(delivery, bytes: 0, now: nanoseconds)
        case .park(let verdict): park(delivery, verdict)
        case .giveUp(let reason): conclude(delivery, .giveUp(reason: reason), nil)
        case .cancel:
            delivery.beginOutcome(requestID: world.nextRequest())
            delivery.outcome.kind = .cancelled
            begin(writing: delivery)
        }
    }

    // MARK: One request

    func start(_ delivery: Delivery, _ permit: WebhookGate.Permit) {
        let request = world.nextRequest()
        delivery.beginOutcome(requestID: request)
        delivery.isOpen = true
        delivery.partition.busy += 1
        window.started(now: nanoseconds)
        running[request] = (delivery, permit, nanoseconds)
        let answer = world.request(request, delivery, host)
        world.timeline.after(answer.afterMs, host) { [weak self] in self?.finished(request, answer.end) }
    }

    // MARK: Ends

    func finished(_ request: UInt64, _ end: RequestEnd) {
        guard let (delivery, permit, began) = running.removeValue(forKey: request), let webhook = delivery.webhook
        else { return }
        window.ended(startedAt: began, now: nanoseconds)
        delivery.partition.busy -= 1
        world.ended(request, host, delivery)
        if delivery.partition.isLost, end == .failed(.interrupted) {
            world.ledger.abandoned(request)
            open -= 1
            dispatcher.gate(webhook.id).ended(permit, .nothing, now: nanoseconds)
            return turn()
        }
        delivery.ticket = unacknowledged.add(now: nanoseconds)
        var (verdict, effects) = ClassificationRules.standard.classify(end)
        if end == .failed(.resolve) {
            if resolver.failed(host: webhook.id, now: nanoseconds) { verdict = .parked(reason: "resolver_down") }
        } else if case .answered = end {
            resolver.reached(host: webhook.id, now: nanoseconds)
        }
        dispatcher.gate(webhook.id).ended(permit, GateReport(verdict, effects), now: nanoseconds)
        var wish: Int64?
        if case .answered(let status, let field) = end {
            delivery.outcome.status = UInt32(clamping: status)
            wish = field.flatMap { retryAfterMs($0, now: world.wall(host)) }
        }
        let next = figures.retries.next(
            after: verdict, attempt: Int(delivery.attempts), parkedBefore: delivery.parkedBefore, retryAfterMs: wish,
            random: world.fraction())
        if effects.contains(.gone) { world.disable(webhook.id, version: webhook.version) }
        conclude(delivery, next, verdict)
        startWaiting(of: webhook.id)
        turn()
    }

    func park(_ delivery: Delivery, _ verdict: Verdict, delayMs: Int64? = nil) {
        let next = figures.retries.next(
            after: verdict, attempt: Int(delivery.fields.attempt), parkedBefore: delivery.parkedBefore,
            retryAfterMs: delayMs, random: world.fraction())
        conclude(delivery, next, verdict)
    }

    private func conclude(_ delivery: Delivery, _ next: RetryPolicy.Next, _ verdict: Verdict?) {
        if delivery.outcome.delivery == nil { delivery.beginOutcome(requestID: world.nextRequest()) }
        switch verdict {
        case .retryable, .unknown, .permanent, .delivered: delivery.outcome.attempt = delivery.attempts
        case .parked, nil: break
        }
        delivery.outcome.reason = verdict?.reason ?? ""
        switch next {
        case .delivered: delivery.outcome.kind = .delivered
        case .again(let delayMs, let spent):
            delivery.outcome.kind = spent ? .failed : .parked
            delivery.outcome.dueAtMs = world.wall(host) + delayMs
            delivery.outcome.generation = delivery.fields.generation + 1
        case .giveUp(let reason):
            delivery.outcome.kind = .dead
            delivery.outcome.reason = reason
            delivery.outcome.generation = delivery.fields.generation
        }
        begin(writing: delivery)
    }
}
