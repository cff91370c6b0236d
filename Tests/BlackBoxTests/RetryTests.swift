import Glibc
import HTTPSending
import JSONScanning
import StandardWebhooks
import Synchronization
import TestSupport
import Testing

extension BlackBoxTests {
    /// What fails, as those who own the endpoint and those who look at the API see it.
    @Suite struct RetryTests {
        private static let schedule = [1_500, 1_500, 1_500]

        @Test(arguments: KafkaBroker.available) func anEndpointThatRecoversGetsItsEvent(kind: KafkaBroker.Kind)
            async throws
        {
            let run = try await FailingRun(kind, paths: ["/hook"], answer: { _, arrival in arrival <= 3 ? 500 : 204 })
            let webhook = try await run.webhook("/hook", scheduleMs: Self.schedule)
            let event = try await run.sendEvent()
            // Each time that it waits, the API says when it goes on and why it has not arrived.
            for failures in 1...3 {
                let delivery = try await run.delivery(event, webhook, "after \(failures) failures") {
                    $0["status"]?.text == "retrying" && $0["attempts"]?.elements?.count == failures
                }
                let explanation = delivery["explanation"]?.text ?? ""
                #expect(
                    explanation.hasPrefix("Request \(failures) was answered with status 500; request \(failures + 1) "))
                let due = try #require(delivery["next"]?["at"]?.text)
                #expect(delivery["next"]?["what"]?.text == "retry" && explanation.contains(due), "\(explanation)")
            }
            let delivery = try await run.delivery(event, webhook, "in the end") { $0["status"]?.text == "delivered" }
            #expect(
                delivery["explanation"]?.text == "Delivered: request 4 was answered with status 204; nothing follows.")
            #expect(delivery["next"]?.isNull == true)
            let attempts = try #require(delivery["attempts"]?.elements)
            #expect(attempts.map { $0["status"]?.integer } == [500, 500, 500, 204])
            let arrivals = run.receiver.requests
            #expect(arrivals.count == 4 && Set(arrivals.map { $0.header("webhook-id") }) == [event])
            // Signed anew each time.
            for request in arrivals {
                try WebhookVerifier(keys: [webhook.secret]).verify(
                    headers: request.headers, body: request.body, nowSeconds: Int64(time(nil)))
            }
            await run.end()
        }

        @Test(arguments: KafkaBroker.available) func anEndpointThatNeverWorksEndsAsADeadLetter(kind: KafkaBroker.Kind)
            async throws
        {
            let run = try await FailingRun(kind, paths: ["/hook"], answer: { _, _ in 500 })
            let webhook = try await run.webhook("/hook", scheduleMs: [200, 300])
            let event = try await run.sendEvent()
            let delivery = try await run.delivery(event, webhook, "in the end") { $0["status"]?.text == "dead" }
            #expect(
                delivery["explanation"]?.text
                    == "Given up after 3 requests, as many as there may be, the last of which was answered with status 500; requeue it to deliver it again."
            )
            #expect(delivery["attempts"]?.elements?.count == 3 && run.receiver.total == 3)
            await run.end()
        }

        @Test(arguments: KafkaBroker.available) func anEndpointThatIsGoneIsAskedOnce(kind: KafkaBroker.Kind)
            async throws
        {
            let run = try await FailingRun(kind, paths: ["/hook"], answer: { _, _ in 410 })
            let webhook = try await run.webhook("/hook", scheduleMs: Self.schedule)
            let event = try await run.sendEvent()
            let delivery = try await run.delivery(event, webhook, "in the end") { $0["status"]?.text == "dead" }
            #expect(delivery["explanation"]?.text?.contains("status 410, which says that it is gone for good") == true)
            #expect(run.receiver.total == 1)
            // Its webhook is disabled: the next event waits for a person.
            #expect(await run.eventuallyWebhook(webhook) { $0["enabled"]?.boolean == false })
            await run.end()
        }

        /// The endpoint says 503 and `Retry-After: 7`.
        @Test(arguments: KafkaBroker.available) func anEndpointThatAsksForTimeGetsIt(kind: KafkaBroker.Kind)
            async throws
        {
            let run = try await FailingRun(kind, paths: ["/hook"], answer: { _, arrival in arrival == 1 ? 503 : 204 })
            let webhook = try await run.webhook("/hook", scheduleMs: [100])
            let event = try await run.sendEvent()
            #expect(await eventually(within: .seconds(20)) { run.receiver.total == 1 })
            let asked = ContinuousClock.now
            _ = try await run.delivery(event, webhook, "in the end") { $0["status"]?.text == "delivered" }
            let waited = asked.duration(to: .now)
            print("retry after: 7 s asked for, \(waited) waited")
            #expect(waited >= .milliseconds(6_500) && run.receiver.total == 2)
            await run.end()
        }

        /// A process that dies has read a request, or answered half of it, and its kernel closes the connection.
        @Test(arguments: KafkaBroker.available) func anEndpointKilledInTheMiddleGetsItsEventAgain(
            kind: KafkaBroker.Kind
        )
            async throws
        {
            let whole = Mutex<[[UInt8]]>([])
            let server = RawServer { connection, number in
                switch number {
                case 0:
                    _ = connection.read()
                case 1:
                    _ = connection.request()
                    connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                default:
                    while let request = connection.request() {
                        whole.withLock { $0.append(request.body) }
                        connection.answer()
                    }
                }
            }
            let run = try await FailingRun(kind, paths: ["/hook"], answer: { _, _ in 204 })
            let webhook = try await run.webhook(url: server.url("/hook"), scheduleMs: [200, 200, 200])
            let event = try await run.sendEvent()
            let delivery = try await run.delivery(event, webhook, "in the end") { $0["status"]?.text == "delivered" }
            let attempts = try #require(delivery["attempts"]?.elements)
            #expect(attempts.count == 3 && attempts[0]["status"]?.isNull == true, "\(attempts)")
            #expect(whole.withLock { $0.count } == 1)
            await run.end()
            server.stop()
        }
    }
}

/// One test's event type, receiver and webhooks on a system.
final class FailingRun: Sendable {
    let receiver: Receiver
    let api: API
    private let type = KafkaBroker.uniqueName("fails")
    private let made = Mutex<[API.Webhook]>([])

    init(
        _ kind: KafkaBroker.Kind, paths: [String], answer: @escaping @Sendable (String, Int) -> Int
    ) async throws {
        api = try await MartletSystem.shared(kind).api
        receiver = try await Receiver(paths: paths, answer: answer)
    }

    func webhook(_ path: String, scheduleMs: [Int]) async throws -> API.Webhook {
        try await webhook(url: receiver.url(path), scheduleMs: scheduleMs)
    }

    func webhook(url: String, scheduleMs: [Int]) async throws -> API.Webhook {
        let webhook = try await api.createWebhook(url: url, types: [type], scheduleMs: scheduleMs)
        made.withLock { $0.append(webhook) }
        return webhook
    }

    func sendEvent() async throws -> String {
        try await api.send(
            #"{"id":"\#(KafkaBroker.uniqueName("event"))","type":"\#(type)","source":"shop","data":{"n":1}}"#)
    }

    /// The event's delivery to the webhook with its attempts, once the API tells what is waited for.
    func delivery(
        _ event: String, _ webhook: API.Webhook, _ when: String, _ isRight: @escaping (JSONValue) -> Bool
    ) async throws -> JSONValue {
        var last: API.Answer?
        let end = ContinuousClock.now + .seconds(40)
        while ContinuousClock.now < end {
            let event = try await api.call(.get, api.gateway + "/api/v1/events/\(event)")
            last = event
            let entry = event["deliveries"]?.elements?.first { $0["webhook_id"]?.text == webhook.id }
            if let id = entry?["id"]?.text {
                let delivery = try await api.call(.get, api.gateway + "/api/v1/deliveries/\(id)")
                last = delivery
                if let json = delivery.json, isRight(json) { return json }
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw ChildProcess.Failure(description: "\(when): the API says \(last?.text ?? "nothing")")
    }

    /// The delivery of this id, once the API tells what is waited for.
    func delivery(id: String, _ when: String, _ isRight: @escaping (JSONValue) -> Bool) async throws -> JSONValue {
        var last: API.Answer?
        let isThere = try await eventually(within: .seconds(40)) {
            let answer = try await api.call(.get, api.gateway + "/api/v1/deliveries/\(id)")
            last = answer
            return answer.json.map(isRight) == true
        }
        guard isThere, let json = last?.json else {
            throw ChildProcess.Failure(description: "\(when): the API says \(last?.text ?? "nothing")")
        }
        return json
    }

    func eventuallyWebhook(_ webhook: API.Webhook, _ isRight: @escaping (JSONValue) -> Bool) async -> Bool {
        await eventually(within: .seconds(20)) {
            guard let answer = try? await self.api.call(.get, self.api.gateway + "/api/v1/webhooks/\(webhook.id)"),
                let json = answer.json
            else { return false }
            return isRight(json)
        }
    }

    func end() async {
        for webhook in made.withLock({ $0 }) { try? await api.deleteWebhook(webhook.id) }
        await receiver.stop()
    }
}
