import Glibc
import HTTPSending
import JSONScanning
import ServiceSupport
import StandardWebhooks
import TestSupport
import Testing

extension BlackBoxTests {
    /// From the API to the receiver and into the history, over every executable.
    @Suite struct DeliveryTests {
        /// Paths and the filters of the webhooks that point to them.
        private static let filters = [
            "/exact": ["order.created"], "/prefix": ["order.*"], "/all": ["*"], "/two": ["order.paid", "user.*"],
        ]
        private static let types = [
            "order.created", "order.paid", "order.item.added", "user.created", "orders.created",
        ]

        /// Which of `types` go where: what the filters mean, written down.
        private static let expected: [String: Set<String>] = [
            "/exact": ["order.created"], "/prefix": ["order.created", "order.paid", "order.item.added"],
            "/all": Set(types), "/two": ["order.paid", "user.created"],
        ]

        @Test(arguments: KafkaBroker.available) func eventsArriveSignedExactlyWhereTheyShould(kind: KafkaBroker.Kind)
            async throws
        {
            let system = try await MartletSystem.shared(kind)
            let api = system.api
            let receiver = try await Receiver(paths: Self.filters.keys.sorted())
            var webhooks: [String: API.Webhook] = [:]
            for (path, types) in Self.filters {
                webhooks[path] = try await api.createWebhook(
                    url: receiver.url(path), types: types, headers: #"{"X-Team":"shop"}"#)
            }
            let run = KafkaBroker.uniqueName("filters")
            var ids: [String: String] = [:]
            for type in Self.types {
                let id = "\(run)-\(type.split(separator: ".").joined(separator: "-"))"
                ids[type] = try await api.send(
                    #"{"id":"\#(id)","type":"\#(type)","source":"shop","data":{ "amount": 12.50,"n":"\u00e9" }}"#)
            }
            let count = Self.expected.values.reduce(0) { $0 + $1.count }
            #expect(await eventually(within: .seconds(20)) { receiver.total >= count })
            for (path, types) in Self.expected {
                #expect(receiver.ids(at: path) == Set(types.compactMap { ids[$0] }), "\(path)")
            }
            let requests = receiver.requests
            for request in requests {
                let secret = try #require(webhooks[request.path]?.secret)
                try WebhookVerifier(keys: [secret]).verify(
                    headers: request.headers, body: request.body, nowSeconds: Int64(time(nil)))
                #expect(throws: WebhookVerificationError.self) {
                    try WebhookVerifier(keys: [secret]).verify(
                        headers: request.headers, body: request.body + [0x20], nowSeconds: Int64(time(nil)))
                }
                #expect(request.header("x-team") == "shop")
                // `data` is delivered byte for byte as it came.
                #expect(
                    String(decoding: request.body, as: UTF8.self).contains(#""data":{ "amount": 12.50,"n":"\u00e9" }}"#)
                )
            }
            let id = try #require(ids["order.paid"])
            try await expectHistory(
                api, event: id, webhooks: ["/prefix", "/all", "/two"].compactMap { webhooks[$0]?.id })
            if await Python.isAvailable() { try await expectOthersVerify(requests, webhooks) }
            #expect(receiver.repeats == 0 && receiver.total == count)
            for webhook in webhooks.values { try await api.deleteWebhook(webhook.id) }
            await receiver.stop()
        }

        /// The event's deliveries, the attempts of each, and its webhook's figures, as the API tells them.
        private func expectHistory(_ api: API, event: String, webhooks: [String]) async throws {
            func deliveries() async throws -> [String: (id: String, status: String)] {
                let answer = try await api.call(.get, api.gateway + "/api/v1/events/\(event)")
                let entries = answer["deliveries"]?.elements ?? []
                return Dictionary(
                    entries.map {
                        ($0["webhook_id"]?.text ?? "", (id: $0["id"]?.text ?? "", status: $0["status"]?.text ?? ""))
                    }, uniquingKeysWith: { first, _ in first })
            }
            #expect(await eventually(within: .seconds(15)) { (try? await deliveries().count) == webhooks.count })
            let found = try await deliveries()
            #expect(Set(found.keys) == Set(webhooks) && found.values.allSatisfy { $0.status == "delivered" })
            for (webhook, delivery) in found {
                let answer = try await api.call(.get, api.gateway + "/api/v1/deliveries/\(delivery.id)")
                let attempts = try #require(answer["attempts"]?.elements)
                #expect(attempts.count == 1 && attempts[0]["status"]?.integer == 204, "\(answer.text)")
                #expect(answer["webhook_id"]?.text == webhook && answer["event_id"]?.text == event)
                let list = try await api.call(.get, api.gateway + "/api/v1/webhooks/\(webhook)/attempts")
                #expect(list["data"]?.elements?.contains { $0["event_id"]?.text == event } == true, "\(list.text)")
                let stats = try await api.call(.get, api.gateway + "/api/v1/webhooks/\(webhook)/stats")
                #expect(stats["webhook_id"]?.text == webhook && (stats["requests"]?.integer ?? 0) > 0, "\(stats.text)")
            }
        }

        /// The same requests before somebody else's implementation of the specification (PyPI: standardwebhooks).
        private func expectOthersVerify(_ requests: [Receiver.Request], _ webhooks: [String: API.Webhook]) async throws
        {
            let script = """
                import sys
                from standardwebhooks.webhooks import Webhook, WebhookVerificationError
                right = wrong = 0
                for secret, id, at, signature, body in zip(*[iter(sys.argv[1:])] * 5):
                    headers = {"webhook-id": id, "webhook-timestamp": at, "webhook-signature": signature}
                    Webhook(secret).verify(body.encode(), headers)
                    right += 1
                    try:
                        Webhook(secret).verify((body + " ").encode(), headers)
                    except WebhookVerificationError:
                        wrong += 1
                print(right, wrong)
                """
            let arguments = requests.flatMap { request in
                [
                    webhooks[request.path]?.secret ?? "", request.header("webhook-id") ?? "",
                    request.header("webhook-timestamp") ?? "", request.header("webhook-signature") ?? "",
                    String(decoding: request.body, as: UTF8.self),
                ]
            }
            let output = try await Python.run(script, arguments)
            #expect(output == "\(requests.count) \(requests.count)\n")
        }

        /// A team that writes CloudEvents to Kafka by itself (PyPI: confluent-kafka) has them delivered as they are.
        @Test(.enabled("needs PyPI") { await Python.isAvailable() }, arguments: KafkaBroker.available)
        func foreignCloudEventsAreDeliveredVerbatim(kind: KafkaBroker.Kind) async throws {
            let system = try await MartletSystem.shared(kind)
            let receiver = try await Receiver(paths: ["/foreign"])
            let webhook = try await system.api.createWebhook(url: receiver.url("/foreign"), types: ["foreign.*"])
            let run = KafkaBroker.uniqueName("foreign")
            let script = """
                import sys
                from confluent_kafka import Producer
                brokers, topic, run = sys.argv[1:]
                producer, failures = Producer({"bootstrap.servers": brokers, "acks": "all"}), []
                bodies = [b'<order n="1"/>', bytes(range(256)), b'{ "a":1,"a":2 }\\n', b'']
                for number, body in enumerate(bodies):
                    headers = [("ce_specversion", b"1.0"), ("ce_id", f"{run}-{number}".encode()),
                        ("ce_type", b"foreign.made"), ("ce_source", b"/teams/other"),
                        ("ce_time", b"2026-11-21T04:23:00Z"), ("content-type", b"application/x-ours")]
                    producer.produce(topic, body, key=str(number), headers=headers,
                        on_delivery=lambda error, _: failures.append(error) if error else None)
                sys.exit(producer.flush(30) or len(failures))
                """
            _ = try await Python.run(script, [system.brokers, system.configuration.kafka.topics.events, run])
            let bodies: [[UInt8]] = [
                Array(#"<order n="1"/>"#.utf8), Array(0...255), Array("{ \"a\":1,\"a\":2 }\n".utf8), [],
            ]
            #expect(await eventually(within: .seconds(20)) { receiver.distinct == bodies.count })
            for (number, body) in bodies.enumerated() {
                let request = try #require(receiver.requests.first { $0.header("webhook-id") == "\(run)-\(number)" })
                #expect(request.body == body)
                #expect(request.header("content-type") == "application/x-ours")
                #expect(request.header("ce-type") == "foreign.made" && request.header("ce-source") == "/teams/other")
                #expect(
                    request.header("ce-time") == "2026-11-21T04:23:00Z" && request.header("ce-specversion") == "1.0")
                try WebhookVerifier(keys: [webhook.secret]).verify(
                    headers: request.headers, body: request.body, nowSeconds: Int64(time(nil)))
            }
            #expect(receiver.repeats == 0)
            try await system.api.deleteWebhook(webhook.id)
            await receiver.stop()
        }
    }
}
