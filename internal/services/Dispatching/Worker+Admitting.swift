internal import Delivering
internal import EventLoops
internal import Metrics
internal import Settling

/// What waits a moment for one webhook's gate, and what it waits for.
struct WaitingDeliveries {
    var queue: ShortQueue<Delivery>
    var hold: WebhookHold
}

/// Which deliveries start, which wait a moment for their webhook, and which are parked for its sake.
extension Worker {
    /// Starts what is ready, as far as the loop's window, the crash bound and the webhooks' gates allow.
    func startReady() {
        while !ready.isEmpty {
            guard acquireOpen() else { return }
            guard let delivery = ready.popFirst() else { return open.release() }
            if delivery.source.partition.isClosing {
                open.release()
            } else if let hold = waiting[delivery.webhookID]?.hold {
                open.release()
                wait(delivery, hold)
            } else {
                admit(delivery)
            }
        }
    }

    /// A place in the window, and of the crash bound: among the process's open requests.
    private func acquireOpen() -> Bool {
        isConfirmed && !hasSlept && !open.isStalled && window.allowsStart(now: loop.now)
            && open.acquire(limit: settings.bound.maxOpen)
    }

    /// Holds a place among the open requests.
    private func admit(_ delivery: Delivery) {
        guard let webhook = delivery.webhook else { preconditionFailure("admitted without a webhook") }
        switch webhook.gate.admit(now: loop.now) {
        case .admitted(let permit): start(delivery, permit)
        case .held(let hold, let until):
            open.release()
            if hold.isBrief { wait(delivery, hold) } else { park(delivery, hold, until) }
        }
    }

    private func park(_ delivery: Delivery, _ hold: WebhookHold, _ until: UInt64? = nil) {
        // A millisecond more, so that it does not come back in the one before.
        park(
            delivery, hold.verdict,
            delayMs: until.map { Int64(($0 - min($0, loop.now)) / 1_000_000) + 1 })
    }

    private func wait(_ delivery: Delivery, _ hold: WebhookHold) {
        var entry =
            waiting.removeValue(forKey: delivery.webhookID)
            ?? WaitingDeliveries(queue: ShortQueue(bounds: settings.shortQueue), hold: hold)
        let fits = entry.queue.append(delivery, bytes: delivery.source.payload?.count ?? 0, now: loop.now)
        if !entry.queue.isEmpty { waiting[delivery.webhookID] = entry }
        if !fits { park(delivery, entry.hold) }
    }

    /// Starts what waits for one webhook, as far as its gate allows.
    func startWaiting(of webhookID: String) {
        guard !waiting.isEmpty, var entry = waiting.removeValue(forKey: webhookID) else { return }
        waiting: while let delivery = entry.queue.first, let webhook = delivery.webhook {
            if delivery.source.partition.isClosing {
                _ = entry.queue.popFirst()
                continue
            }
            guard acquireOpen() else { break }
            switch webhook.gate.admit(now: loop.now) {
            case .admitted(let permit):
                _ = entry.queue.popFirst()
                start(delivery, permit)
            case .held(let hold, let until):
                open.release()
                entry.hold = hold
                if hold.isBrief { break waiting }
                _ = entry.queue.popFirst()
                park(delivery, hold, until)
            }
        }
        if !entry.queue.isEmpty { waiting[webhookID] = entry }
    }

    /// Parks what has waited too long for its webhook.
    func parkExpired() {
        for webhookID in Array(waiting.keys) {
            guard var entry = waiting.removeValue(forKey: webhookID) else { continue }
            while let delivery = entry.queue.popExpired(now: loop.now) {
                if !delivery.source.partition.isClosing { park(delivery, entry.hold) }
            }
            if !entry.queue.isEmpty { waiting[webhookID] = entry }
        }
    }
}
