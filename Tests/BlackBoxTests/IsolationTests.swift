import HTTPSending
import JSONScanning
import TestSupport
import Testing

extension BlackBoxTests {
    /// Pausing, breakers, and what a tenant is told of its webhooks, over every executable.
    @Suite struct IsolationTests {
        @Test(arguments: KafkaBroker.available) func aGoneEndpointIsToldToTheTenantsOtherWebhooks(
            kind: KafkaBroker.Kind
        ) async throws {
            let api = try await MartletSystem.shared(kind).api
            let receiver = try await Receiver(paths: ["/gone", "/told"], status: { $0 == "/gone" ? 410 : 204 })
            let type = KafkaBroker.uniqueName("gone")
            let told = try await api.createWebhook(url: receiver.url("/told"), types: ["martlet.webhook.*"])
            let gone = try await api.createWebhook(
                url: receiver.url("/gone"), types: [type, "martlet.webhook.disabled"])
            let event = try await api.send(#"{"type":"\#(type)","source":"shop","data":1}"#)
            let news = "\(gone.id)-2"
            #expect(await eventually(within: .seconds(30)) { receiver.ids(at: "/told").contains(news) })
            let request = try #require(receiver.requests.first { $0.header("webhook-id") == news })
            let body = try JSONValue(parsing: request.body)
            #expect(body["type"]?.text == "martlet.webhook.disabled" && body["data"]?["webhook_id"]?.text == gone.id)
            #expect(body["data"]?["reason"]?.text?.contains("410") == true)
            #expect(request.header("ce-subject") == gone.id)
            let shown = try await api.call(.get, api.gateway + "/api/v1/webhooks/\(gone.id)")
            #expect(shown["enabled"]?.boolean == false && shown["disabled_reason"]?.text?.contains("410") == true)
            #expect(receiver.ids(at: "/gone") == [event])
            let failed = try await attempt(of: event, to: gone, api)
            #expect(failed["error"]?["class"]?.text == "NON_RETRYABLE")
            #expect(failed["error"]?["type"]?.text == "CLIENT_ERROR")
            for webhook in [told, gone] { try await api.deleteWebhook(webhook.id) }
            await receiver.stop()
        }

        @Test(arguments: KafkaBroker.available) func aPausedWebhooksDeliveriesWait(kind: KafkaBroker.Kind) async throws
        {
            let system = try await MartletSystem.shared(kind)
            let api = system.api
            let receiver = try await Receiver(paths: ["/hook"])
            let type = KafkaBroker.uniqueName("paused")
            let webhook = try await api.createWebhook(url: receiver.url("/hook"), types: [type])
            let paused = try await Martlet.run(["pause", webhook.id, "--url", api.gateway])
            #expect(paused.status == 0 && paused.output.hasPrefix("\(webhook.id)  paused  "), "\(paused.errors)")
            let breaker = try await api.call(.get, api.gateway + "/api/v1/webhooks/\(webhook.id)/breaker")
            #expect(breaker["paused"]?.boolean == true && breaker["state"]?.text == "closed", "\(breaker.text)")
            #expect(breaker["dispatchers"]?.elements?.count == 1 && breaker["silent"]?.elements?.isEmpty == true)
            // The dispatcher hears of it milliseconds after it was answered: the last event certainly waits.
            var waiting: JSONValue?
            for _ in 0..<100 where waiting == nil {
                let event = try await api.send(#"{"type":"\#(type)","source":"shop","data":1}"#)
                let attempt = try await attempt(of: event, to: webhook, api)
                if attempt["outcome"]?.text == "parked" { waiting = attempt }
            }
            #expect(waiting?["reason"]?.text == "webhook_paused" && waiting?["error"]?.isNull == true)
            let before = receiver.total
            let resumed = try await Martlet.run(["resume", webhook.id, "--url", api.gateway])
            #expect(resumed.status == 0 && resumed.output.hasPrefix("\(webhook.id)  not paused  "))
            for _ in 0..<100 where receiver.total == before {
                let event = try await api.send(#"{"type":"\#(type)","source":"shop","data":1}"#)
                _ = try await attempt(of: event, to: webhook, api)
            }
            // What waits is looked at again each minute, or at once where somebody wants that.
            let (id, event) = (waiting?["delivery_id"]?.text ?? "", waiting?["event_id"]?.text ?? "")
            let retry = try await api.call(.post, api.gateway + "/api/v1/deliveries/\(id)/retry")
            #expect(retry.status == 202, "\(retry.text)")
            #expect(await eventually(within: .seconds(30)) { receiver.ids(at: "/hook").contains(event) })
            try await api.deleteWebhook(webhook.id)
            await receiver.stop()
        }

        /// The first one.
        private func attempt(of event: String, to webhook: API.Webhook, _ api: API) async throws -> JSONValue {
            for _ in 0..<400 {
                let list = try await api.call(.get, api.gateway + "/api/v1/webhooks/\(webhook.id)/attempts?limit=100")
                let own = list["data"]?.elements?.last { $0["event_id"]?.text == event }
                if let own { return own }
                try await Task.sleep(for: .milliseconds(100))
            }
            throw ChildProcess.Failure(description: "no attempt of \(event) within 40 s")
        }
    }
}
