import Glibc
import HTTPSending
import JSONScanning
import ServiceSupport
import StandardWebhooks
import Synchronization
import TestSupport
import Testing

extension BlackBoxTests {
    /// Stepping in: what users ask for over HTTP, and what then arrives at the endpoint.
    @Suite struct SteeringTests {
        @Test(arguments: KafkaBroker.available) func aRetryIsMadeNowAndAResendOnceMore(kind: KafkaBroker.Kind)
            async throws
        {
            let run = try await SteeredRun(kind)
            let webhook = try await run.failing.webhook("/hook", scheduleMs: SteeredRun.longSchedule)
            let (event, waiting) = try await run.waiting(webhook)
            let id = try #require(waiting["id"]?.text)
            let due = try #require(waiting["next"]?["at"]?.text)
            // Ten minutes, give or take the jitter: far beyond what this test waits for.
            let delayMs = (milliseconds(rfc3339: due) ?? 0) - Int64(time(nil)) * 1_000
            #expect(delayMs > 400_000 && delayMs < 800_000)
            #expect(
                waiting["explanation"]?.text == "Request 1 was answered with status 500; request 2 is due at \(due).")
            run.status(204)
            let asked = try await run.post("deliveries/\(id)/retry")
            #expect(asked.status == 202 && asked["delivery_id"]?.text == id, "\(asked.text)")
            #expect(
                asked["at"]?.text != nil && asked["explanation"]?.text?.hasSuffix("request 2 follows at once.") == true)
            let delivered = try await run.failing.delivery(id: id, "retried") { $0["status"]?.text == "delivered" }
            #expect(delivered["attempts"]?.elements?.map { $0["status"]?.integer } == [500, 204])
            #expect(delivered["requested"]?.isNull == true && delivered["next"]?.isNull == true)
            try await run.expectRefusal("deliveries/\(id)/retry", 409, "not_waiting")
            try await run.expectRefusal("deliveries/\(id)/cancel", 409, "already_ended")

            let resent = try await run.post("deliveries/\(id)/resend")
            #expect(resent.status == 202 && resent["parent"]?.text == id, "\(resent.text)")
            let child = try #require(resent["delivery_id"]?.text)
            // To be seen at once, whether or not it has been sent by now.
            #expect(try await run.get("deliveries/\(child)").status == 200)
            let again = try await run.failing.delivery(id: child, "resent") { $0["status"]?.text == "delivered" }
            #expect(again["parent"]?.text == id && again["event_id"]?.text == event)
            let arrivals = run.failing.receiver.requests
            #expect(arrivals.count == 3 && Set(arrivals.map { $0.header("webhook-id") }) == [event])
            #expect(Set(arrivals.map(\.body)).count == 1)
            let seen = try await run.get("events/\(event)")
            #expect(Set((seen["deliveries"]?.elements ?? []).compactMap { $0["id"]?.text }) == [id, child])
            await run.failing.end()
        }

        @Test(arguments: KafkaBroker.available) func aCancelledDeliveryIsClosed(kind: KafkaBroker.Kind) async throws {
            let run = try await SteeredRun(kind)
            let webhook = try await run.failing.webhook("/hook", scheduleMs: SteeredRun.longSchedule)
            let (_, waiting) = try await run.waiting(webhook)
            let id = try #require(waiting["id"]?.text)
            run.status(204)
            let asked = try await run.post("deliveries/\(id)/cancel")
            #expect(asked.status == 202, "\(asked.text)")
            #expect(asked["explanation"]?.text?.hasSuffix("it is closed without another request.") == true)
            let ended = try await run.failing.delivery(id: id, "cancelled") { $0["status"]?.text == "cancelled" }
            #expect(
                ended["explanation"]?.text
                    == "Cancelled at a user's wish after 1 request; nothing follows unless it is resent.")
            #expect(run.failing.receiver.total == 1)
            try await run.expectRefusal("deliveries/\(id)/cancel", 409, "already_ended")
            try await run.expectRefusal("deliveries/\(id)/retry", 409, "not_waiting")
            // A cancellation is no dead letter.
            try await run.expectRefusal("dead-letters/\(id)/requeue", 404, "not_found")
            let child = try #require(try await run.post("deliveries/\(id)/resend")["delivery_id"]?.text)
            _ = try await run.failing.delivery(id: child, "resent") { $0["status"]?.text == "delivered" }
            #expect(run.failing.receiver.total == 2)
            await run.failing.end()
        }

        @Test(arguments: KafkaBroker.available) func aTestArrivesAtItsWebhookAlone(kind: KafkaBroker.Kind) async throws
        {
            let run = try await SteeredRun(kind)
            run.status(204)
            let webhook = try await run.failing.webhook("/hook", scheduleMs: [100])
            _ = try await run.failing.webhook("/other", scheduleMs: [100])
            for (body, type, data) in [
                (nil, "martlet.test", nil), (#"{"type":"user.created","data":{ "n":1.50 }}"#, "user.created", "1.50"),
            ] as [(String?, String, String?)] {
                let asked = try await run.post("webhooks/\(webhook.id)/test", body)
                #expect(asked.status == 202 && asked["webhook_id"]?.text == webhook.id, "\(asked.text)")
                let id = try #require(asked["delivery_id"]?.text)
                let event = try #require(asked["event_id"]?.text)
                _ = try await run.failing.delivery(id: id, "tested") { $0["status"]?.text == "delivered" }
                let request = try #require(
                    run.failing.receiver.requests.first { $0.header("webhook-id") == event })
                #expect(request.path == "/hook")
                try WebhookVerifier(keys: [webhook.secret]).verify(
                    headers: request.headers, body: request.body, nowSeconds: Int64(time(nil)))
                let json = try JSONValue(parsing: request.body)
                #expect(json["id"]?.text == event && json["type"]?.text == type && json["source"]?.text == "martlet")
                if let data { #expect(String(decoding: request.body, as: UTF8.self).contains(data)) }
            }
            #expect(run.failing.receiver.total == 2)
            await run.failing.end()
        }

        @Test(arguments: KafkaBroker.available) func deadLettersAreRequeuedAndDiscarded(kind: KafkaBroker.Kind)
            async throws
        {
            let run = try await SteeredRun(kind)
            let webhook = try await run.failing.webhook("/hook", scheduleMs: [100])
            let ids = try await run.givenUp(5, webhook)
            let filter = "webhook_id=\(webhook.id)"
            #expect(try await run.letters(filter) == Set(ids))
            let entry = try #require(try await run.get("dead-letters/\(ids[0])").json)
            #expect(entry["reason"]?.text == "attempts_exhausted" && entry["failure"]?.text == "status_500")
            #expect(entry["last_status"]?.integer == 500 && entry["attempt_count"]?.integer == 2)
            #expect(
                entry["state"]?.text == "open" && entry["record"]?["topic"]?.text?.hasSuffix("dead-letters") == true)
            run.status(204)
            try await expectOneDelivery(run, ids[0])
            #expect(try await run.post("dead-letters/\(ids[1])/discard").status == 204)
            try await run.expectRefusal("dead-letters/\(ids[1])/requeue", 409, "already_discarded")
            #expect(try await run.letters(filter + "&state=discarded") == [ids[1]])

            let body = #"{"webhook_id":"\#(webhook.id)","dry_run":true}"#
            let dry = try await run.post("dead-letters/requeue", body)
            #expect(dry["matched"]?.integer == 3 && dry["requeued"]?.integer == 0 && dry["dry_run"]?.boolean == true)
            #expect(try await run.letters(filter) == Set(ids[2...]))
            let arrived = run.failing.receiver.total
            let bulk = try await run.post("dead-letters/requeue", #"{"webhook_id":"\#(webhook.id)"}"#)
            #expect(bulk["matched"]?.integer == 3 && bulk["requeued"]?.integer == 3, "\(bulk.text)")
            for id in ids[2...] {
                let child = try #require(try await run.get("dead-letters/\(id)")["requeued_as"]?.text)
                let delivery = try await run.failing.delivery(id: child, "requeued in bulk") {
                    $0["status"]?.text == "delivered"
                }
                #expect(delivery["parent"]?.text == id)
            }
            #expect(run.failing.receiver.total == arrived + 3)
            #expect(try await run.letters(filter).isEmpty)
            try await run.expectRefusal("dead-letters/requeue", 422, "field_required", "{}")
            await run.failing.end()
        }

        /// Two users requeue one dead letter: one delivery comes of it.
        private func expectOneDelivery(_ run: SteeredRun, _ id: String) async throws {
            let before = run.failing.receiver.total
            async let first = run.post("dead-letters/\(id)/requeue")
            async let second = run.post("dead-letters/\(id)/requeue")
            let answers = try await [first, second].sorted { $0.status < $1.status }
            #expect(answers.map(\.status) == [202, 409], "\(answers.map(\.text))")
            let child = try #require(answers[0]["delivery_id"]?.text)
            let delivery = try await run.failing.delivery(id: child, "requeued") { $0["status"]?.text == "delivered" }
            #expect(delivery["parent"]?.text == id && delivery["attempt_count"]?.integer == 1)
            #expect(run.failing.receiver.total == before + 1)
            let letter = try await run.get("dead-letters/\(id)")
            #expect(letter["state"]?.text == "requeued" && letter["requeued_as"]?.text == child)
            let parent = try await run.get("deliveries/\(id)")
            #expect(parent["explanation"]?.text?.hasSuffix("; it was requeued as \(child).") == true, "\(parent.text)")
            try await run.expectRefusal("dead-letters/\(id)/requeue", 409, "already_requeued")
            try await run.expectRefusal("dead-letters/\(id)/discard", 409, "already_requeued")
        }

        /// An endpoint that says 410 has its webhook disabled: what is requeued meanwhile waits until a person enables it.
        @Test(arguments: KafkaBroker.available) func whatAGoneEndpointMissedIsRequeuedWhenItIsBack(
            kind: KafkaBroker.Kind
        ) async throws {
            let run = try await SteeredRun(kind)
            run.status(410)
            let webhook = try await run.failing.webhook("/hook", scheduleMs: SteeredRun.longSchedule)
            let id = try await run.givenUp(1, webhook)[0]
            let letter = try await run.get("dead-letters/\(id)")
            #expect(letter["reason"]?.text == "status_410" && letter["attempt_count"]?.integer == 1, "\(letter.text)")
            #expect(await run.failing.eventuallyWebhook(webhook) { $0["enabled"]?.boolean == false })
            run.status(204)
            let child = try #require(try await run.post("dead-letters/\(id)/requeue")["delivery_id"]?.text)
            let parked = try await run.failing.delivery(id: child, "disabled") { $0["status"]?.text == "parked" }
            #expect(parked["explanation"]?.text?.contains("because its webhook is disabled") == true)
            #expect(run.failing.receiver.total == 1)
            let enabled = try await run.failing.api.call(
                .patch, run.failing.api.gateway + "/api/v1/webhooks/\(webhook.id)", json: #"{"enabled":true}"#)
            #expect(enabled.status == 200, "\(enabled.text)")
            // By itself it is looked at each minute. Should the dispatcher hear of the retry before it hears of the change, it is parked once more.
            let isDelivered = try await eventually(within: .seconds(20)) {
                let delivery = try await run.get("deliveries/\(child)")
                if delivery["status"]?.text == "parked", delivery["requested"]?.isNull == true {
                    _ = try await run.post("deliveries/\(child)/retry")
                }
                return delivery["status"]?.text == "delivered" && delivery["parent"]?.text == id
            }
            #expect(isDelivered && run.failing.receiver.total == 2)
            await run.failing.end()
        }

        @Test(arguments: KafkaBroker.available) func theCommandsDoTheSame(kind: KafkaBroker.Kind) async throws {
            let run = try await SteeredRun(kind)
            let webhook = try await run.failing.webhook("/hook", scheduleMs: SteeredRun.longSchedule)
            let retried = try #require(try await run.waiting(webhook).delivery["id"]?.text)
            let cancelled = try #require(try await run.waiting(webhook).delivery["id"]?.text)
            run.status(204)
            let retry = try await run.martlet("retry", retried)
            #expect(retry.status == 0 && retry.output.hasPrefix("\(retried)  retrying  Request 1 was"), "\(retry)")
            _ = try await run.failing.delivery(id: retried, "retried") { $0["status"]?.text == "delivered" }
            let refused = try await run.martlet("retry", retried)
            #expect(refused.status == 1 && refused.output.isEmpty)
            #expect(
                refused.errors
                    == "Error: status 409, not_waiting: It is delivered; resend it to send it once more.\n")
            let cancel = try await run.martlet("cancel", cancelled, "--json")
            #expect(cancel.status == 0 && cancel.json?["delivery_id"]?.text == cancelled, "\(cancel)")
            _ = try await run.failing.delivery(id: cancelled, "cancelled") { $0["status"]?.text == "cancelled" }
            let resend = try await run.martlet("resend", cancelled)
            let child = String(resend.output.prefix { $0 != " " })
            #expect(
                resend.output.contains("  pending  repeats \(cancelled)  No request has been made yet"), "\(resend)")
            _ = try await run.failing.delivery(id: child, "resent") { $0["status"]?.text == "delivered" }
            await run.failing.end()
        }

        @Test(arguments: KafkaBroker.available) func theCommandsForDeadLettersDoTheSame(kind: KafkaBroker.Kind)
            async throws
        {
            let run = try await SteeredRun(kind)
            let webhook = try await run.failing.webhook("/hook", scheduleMs: [100])
            let ids = try await run.givenUp(4, webhook)
            run.status(204)
            func dlq(_ words: String...) async throws -> Martlet.Result { try await run.martlet(["dlq"] + words) }
            let list = try await dlq("list", "--webhook", webhook.id, "--reason", "attempts_exhausted")
            #expect(list.status == 0 && list.output.split(separator: "\n").count == 4, "\(list)")
            #expect(ids.allSatisfy { list.output.contains("  \($0)  \(webhook.id)  ") })
            #expect(list.output.contains("  status 500  2 requests  attempts_exhausted  status_500\n"))
            let page = try await dlq("list", "--webhook", webhook.id, "--limit", "3", "--json")
            #expect(page.json?["data"]?.elements?.count == 3)
            let rest = try await dlq(
                "list", "--webhook", webhook.id, "--cursor", try #require(page.json?["next"]?.text), "--json")
            #expect(rest.json?["data"]?.elements?.count == 1 && rest.json?["next"]?.isNull == true)

            let requeued = try await dlq("requeue", ids[0])
            #expect(requeued.status == 0 && requeued.output.hasPrefix("\(ids[0])  requeued as dlv_"), "\(requeued)")
            #expect(try await dlq("discard", ids[1]).output == "\(ids[1])  discarded\n")
            let refused = try await dlq("requeue", ids[1])
            #expect(
                refused.status == 1 && refused.errors.hasPrefix("Error: \(ids[1]): status 409, already_discarded: "))
            let dry = try await dlq("requeue", "--webhook", webhook.id, "--dry-run")
            #expect(dry.output == "2 dead letters would be requeued.\n", "\(dry)")
            let bulk = try await dlq("requeue", "--webhook", webhook.id, "--limit", "1")
            #expect(
                bulk.output == "Requeued 1 of 2 dead letters. Run it again for the other 1.\n" && bulk.status == 0,
                "\(bulk)")
            #expect(try await dlq("requeue", "--webhook", webhook.id).output == "Requeued 1 of 1 dead letter.\n")
            let none = try await dlq("list", "--webhook", webhook.id)
            #expect(none.output == "There are no such dead letters.\n")
            let done = try await dlq("list", "--webhook", webhook.id, "--status", "requeued")
            #expect(done.output.split(separator: "\n").count { $0.contains("  requeued as dlv_") } == 3, "\(done)")
            // Two requests each before they were given up, and one each for those that were requeued.
            #expect(await eventually(within: .seconds(20)) { run.failing.receiver.total == 8 + 3 })
            await run.failing.end()
        }
    }
}

/// A run whose endpoint answers what it is told to; 500 until then.
private struct SteeredRun: Sendable {
    /// So long that nothing is retried by itself.
    static let longSchedule = [600_000, 600_000]

    private final class Behaviour: Sendable { let status = Atomic<Int>(500) }

    let failing: FailingRun
    private let behaviour: Behaviour

    init(_ kind: KafkaBroker.Kind) async throws {
        let behaviour = Behaviour()
        self.behaviour = behaviour
        failing = try await FailingRun(kind, paths: ["/hook", "/other"]) { _, _ in
            behaviour.status.load(ordering: .relaxed)
        }
    }

    func status(_ status: Int) { behaviour.status.store(status, ordering: .relaxed) }

    func get(_ path: String) async throws -> API.Answer {
        try await failing.api.call(.get, failing.api.gateway + "/api/v1/" + path)
    }

    func post(_ path: String, _ body: String? = nil) async throws -> API.Answer {
        try await failing.api.call(.post, failing.api.gateway + "/api/v1/" + path, json: body)
    }

    func expectRefusal(_ path: String, _ status: Int, _ code: String, _ body: String? = nil) async throws {
        let answer = try await post(path, body)
        #expect(answer.status == status && answer["code"]?.text == code, "\(path): \(answer.text)")
    }

    /// The ids of the dead letters that a query matches.
    func letters(_ query: String) async throws -> Set<String> {
        let answer = try await get("dead-letters?" + query)
        return Set((answer["data"]?.elements ?? []).compactMap { $0["delivery_id"]?.text })
    }

    /// A new event, and its delivery that waits after its first request.
    func waiting(_ webhook: API.Webhook) async throws -> (event: String, delivery: JSONValue) {
        let event = try await failing.sendEvent()
        return (
            event, try await failing.delivery(event, webhook, "waiting") { $0["status"]?.text == "retrying" }
        )
    }

    /// As many new events' deliveries, once they are dead.
    func givenUp(_ count: Int, _ webhook: API.Webhook) async throws -> [String] {
        var events: [String] = []
        for _ in 0..<count { events.append(try await failing.sendEvent()) }
        var ids: [String] = []
        for event in events {
            let delivery = try await failing.delivery(event, webhook, "given up") { $0["status"]?.text == "dead" }
            ids.append(try #require(delivery["id"]?.text))
        }
        return ids
    }

    func martlet(_ words: String...) async throws -> Martlet.Result { try await martlet(words) }
    func martlet(_ words: [String]) async throws -> Martlet.Result {
        try await Martlet.run(words + ["--url", failing.api.gateway])
    }
}
