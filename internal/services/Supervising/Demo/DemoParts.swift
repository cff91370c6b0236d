internal import HTTPServing
internal import StandardWebhooks

extension DemoStage {
    /// The first part: one event on its whole way, with the request shown and verified.
    func deliverOne() async throws(DemoError) -> DemoResult.Delivered {
        try await withWebhook(.works, eventType: "demo.*", note: "for demo.*") { webhook throws(DemoError) in
            let (reception, sentAtMs) = try await sendUntilItArrives(at: .works, type: "demo.greeting")
            let eventID = reception.request.eventID
            let arrivedAfter = Int(reception.receivedAtMs - sentAtMs)
            let verified = try verify(reception, webhook.secret)
            say("request    arrived \(arrivedAfter) ms after the event was sent, and is:\n\n\(verified.text)")
            let deliveryID = try await delivery(eventID, to: webhook.id, is: "delivered")
            say("delivery   \(deliveryID): delivered")
            let attempts = try await gateway.attempts(deliveryID: deliveryID)
            for attempt in attempts { say("attempt    \(attempt.text)") }
            return DemoResult.Delivered(
                eventID: eventID, webhookID: webhook.id, deliveryID: deliveryID, attempts: attempts,
                arrivedAfterMilliseconds: arrivedAfter)
        }
    }

    private func verify(_ reception: Reception, _ secret: String) throws(DemoError) -> Reception {
        do {
            try WebhookVerifier(keys: [secret]).verify(
                headers: reception.request.headers, body: reception.request.body,
                nowSeconds: reception.receivedAtMs / 1_000)
        } catch {
            throw DemoError(step: "verifying the signature", reason: "\(error)")
        }
        var verified = reception
        verified.signature = .verified
        return verified
    }

    /// The second part: an endpoint that fails twice and gets the event at the third request.
    func retryUntilItWorks() async throws(DemoError) -> DemoResult.Retried {
        say("\nWhat fails is tried again:\n")
        let note = "whose endpoint fails twice; retries after 1 s and 2 s"
        return try await withWebhook(
            .recovers, eventType: "demo-retry.*", scheduleMs: [1_000, 2_000], note: note
        ) { webhook throws(DemoError) in
            let (first, _) = try await sendUntilItArrives(at: .recovers, type: "demo-retry.greeting")
            let eventID = first.request.eventID
            sayAnswer(1, first)
            var lateness: [Int] = []
            for number in 1...DemoReceiver.failuresBeforeRecovery {
                let dueAtMs = try await due(after: number, eventID, webhook.id)
                let arrival = try await arrival(number + 1, at: .recovers, eventID: eventID)
                lateness.append(Int(arrival.receivedAtMs - dueAtMs))
                sayAnswer(number + 1, arrival, dueAtMs)
            }
            let deliveryID = try await delivery(eventID, to: webhook.id, is: "delivered")
            say("delivery   \(deliveryID): delivered at request \(lateness.count + 1)")
            return DemoResult.Retried(
                eventID: eventID, webhookID: webhook.id, deliveryID: deliveryID,
                attempts: try await gateway.attempts(deliveryID: deliveryID), lateMilliseconds: lateness)
        }
    }

    /// When the request after a failed one is due, as the API tells it.
    private func due(after number: Int, _ eventID: String, _ webhookID: String) async throws(DemoError) -> Int64 {
        let dueAtMs = try await eventually(
            "waiting for a retry's due time", otherwise: "the API does not tell it"
        ) { () throws(DemoError) -> Int64? in
            guard let delivery = try await gateway.delivery(eventID: eventID, webhookID: webhookID) else { return nil }
            let attempts = try await gateway.attempts(deliveryID: delivery.id)
            return attempts.first { $0.number == number && $0.dueAtMs != nil }?.dueAtMs
        }
        say("waiting    until \(clockText(dueAtMs))")
        return dueAtMs
    }

    private func sayAnswer(_ number: Int, _ reception: Reception, _ dueAtMs: Int64? = nil) {
        let late = dueAtMs.map { ", \(reception.receivedAtMs - $0) ms after it was due" } ?? ""
        say("request    \(number) at \(clockText(reception.receivedAtMs))\(late): answered \(reception.status)")
    }

    /// The third part: an endpoint that refuses everything; the dead letter is requeued when it has been mended.
    func giveUpAndRequeue() async throws(DemoError) -> DemoResult.Requeued {
        say("\nWhat never works becomes a dead letter, which can be requeued:\n")
        let note = "whose endpoint refuses everything; one retry after 1 s"
        return try await withWebhook(
            .broken, eventType: "demo-dead.*", scheduleMs: [1_000], note: note
        ) { webhook throws(DemoError) in
            let (first, _) = try await sendUntilItArrives(at: .broken, type: "demo-dead.greeting")
            let eventID = first.request.eventID
            sayAnswer(1, first)
            let deadID = try await delivery(eventID, to: webhook.id, is: "dead")
            let reason = try await eventually(
                "waiting for the dead letter", otherwise: "the API does not know it"
            ) { () throws(DemoError) in try await gateway.deadLetterReason(id: deadID) }
            let requests = receiver.requests(.broken, eventID: eventID).count
            say("dead       \(deadID) after \(requests) requests: \(printable(reason))")
            receiver.mend()
            let newID = try await gateway.requeue(id: deadID)
            say("requeued   as \(printable(newID)); the endpoint works now")
            sayAnswer(requests + 1, try await arrival(requests + 1, at: .broken, eventID: eventID))
            let deliveryID = try await delivery(newID, is: "delivered")
            say("delivery   \(deliveryID): delivered")
            return DemoResult.Requeued(
                eventID: eventID, webhookID: webhook.id, deadID: deadID, reason: reason, deliveryID: deliveryID)
        }
    }
}
