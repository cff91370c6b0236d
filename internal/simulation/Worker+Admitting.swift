internal import Delivering
internal import Settling

/// What waits a moment for one webhook's gate, and what it waits for.
struct WaitingDeliveries {
    var queue: ShortQueue<Delivery>
    var hold: WebhookHold
}

/// Which deliveries start, which wait a moment for their webhook, and which are parked for its sake.
extension Worker {
    func startReady() {
        while !ready.isEmpty {
            guard acquireOpen() else { return }
            guard let delivery = ready.popFirst() else {
                open -= 1
                return
            }
            if delivery.partition.isClosing {
                open -= 1
            } else if let hold = waiting[delivery.webhookID]?.hold {
                open -= 1
                wait(delivery, hold)
            } else {
                admit(delivery)
            }
        }
    }

    /// Holds a place among the open requests.
    private func admit(_ delivery: Delivery) {
        switch dispatcher.gate(delivery.webhookID).admit(now: nanoseconds) {
        case .admitted(let permit): start(delivery, permit)
        case .held(let hold, let until):
            open -= 1
            if hold.isBrief { wait(delivery, hold) } else { park(delivery, hold, until) }
        }
    }

    private func park(_ delivery: Delivery, _ hold: WebhookHold, _ until: UInt64? = nil) {
        park(delivery, hold.verdict, delayMs: until.map { Int64(($0 - min($0, nanoseconds)) / 1_000_000) + 1 })
    }

    private func wait(_ delivery: Delivery, _ hold: WebhookHold) {
        var entry =
            waiting.removeValue(forKey: delivery.webhookID)
            ?? WaitingDeliveries(queue: ShortQueue(bounds: figures.shortQueue), hold: hold)
        let fits = entry.queue.append(delivery, bytes: Figures.payloadBytes, now: nanoseconds)
        if !entry.queue.isEmpty { waiting[delivery.webhookID] = entry }
        if !fits { park(delivery, entry.hold) }
    }

    func startWaiting(of webhookID: String) {
        guard var entry = waiting.removeValue(forKey: webhookID) else { return }
        waiting: while let delivery = entry.queue.first {
            if delivery.partition.isClosing {
                _ = entry.queue.popFirst()
                continue
            }
            guard acquireOpen() else { break }
            switch dispatcher.gate(webhookID).admit(now: nanoseconds) {
            case .admitted(let permit):
                _ = entry.queue.popFirst()
                start(delivery, permit)
            case .held(let hold, let until):
                open -= 1
                entry.hold = hold
                if hold.isBrief { break waiting }
                _ = entry.queue.popFirst()
                park(delivery, hold, until)
            }
        }
        if !entry.queue.isEmpty { waiting[webhookID] = entry }
    }

    func parkExpired() {
        for webhookID in waiting.keys.sorted() {
            guard var entry = waiting.removeValue(forKey: webhookID) else { continue }
            while let delivery = entry.queue.popExpired(now: nanoseconds) {
                if !delivery.partition.isClosing { park(delivery, entry.hold) }
            }
            if !entry.queue.isEmpty { waiting[webhookID] = entry }
        }
    }
}
