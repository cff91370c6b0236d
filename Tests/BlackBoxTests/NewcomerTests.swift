import HTTPSending
import JSONScanning
import Kafka
import ServiceSupport
import TestSupport
import Testing

extension BlackBoxTests {
    /// What the documentation tells a newcomer to type, word for word; only ports are put in.
    @Suite struct NewcomerTests {
        private static let logIn = """
            curl -X POST localhost:8080/auth/login -H 'Content-Type: application/json' -d '{"username":"admin","password":"password"}'
            """
        private static let create = """
            curl -X POST localhost:8080/api/v1/webhooks -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
              -d '{"url":"https://your-app.com/webhook","event_types":["user.created","payment.completed"],"headers":{"X-Custom-Header":"value"}}'
            """
        private static let send = """
            curl -X POST localhost:8082/events -H 'Content-Type: application/json' \\
              -d '{"id":"event-123","type":"user.created","source":"user-service","data":{"user_id":"12345","email":"user@example.com"}}'
            """
        private static let look = """
            curl localhost:8080/api/v1/webhooks -H "Authorization: Bearer $TOKEN";  curl localhost:8080/health;  curl localhost:8080/metrics
            """

        /// Runs a line in a shell and returns what it prints.
        private func shell(_ line: String, _ system: MartletSystem, token: String = "") async throws -> API.Answer {
            let text = line.replacing("localhost:8080", with: "\(system.configuration.gateway.listen)")
                .replacing("localhost:8082", with: "\(system.configuration.ingestion.listen)")
                .replacing("curl ", with: "curl -sS ")
            let child = try ChildProcess("bash", ["-c", text], environment: ["TOKEN": token])
            let status = try await child.exit()
            #expect(status == 0, "\(child.errors)")
            return API.Answer(status: 0, headers: [], body: Array(child.output.utf8))
        }

        @Test func theLinesOfTheDocumentationWorkAsTheyStand() async throws {
            let system = try await MartletSystem.shared(.inMemory)
            // An event first, so that nothing is sent to your-app.com: the webhook that names it comes later.
            let receiver = try await Receiver(paths: ["/newcomer"])
            let own = try await system.api.createWebhook(url: receiver.url("/newcomer"), types: ["user.created"])
            let sent = try await shell(Self.send, system)
            #expect(sent["id"]?.text == "event-123" && sent["status"]?.text == "accepted", "\(sent.text)")
            #expect(sent["duplicate"]?.boolean == false)
            #expect(try await shell(Self.send, system)["duplicate"]?.boolean == true)
            #expect(await eventually { receiver.total == 1 })
            let request = try #require(receiver.requests.first)
            #expect(request.header("webhook-id") == "event-123")
            let body = String(decoding: request.body, as: UTF8.self)
            #expect(body.hasPrefix(#"{"id":"event-123","type":"user.created","source":"user-service","timestamp":""#))
            #expect(body.hasSuffix(#""data":{"user_id":"12345","email":"user@example.com"}}"#))

            let token = try #require(try await shell(Self.logIn, system)["token"]?.text)
            let made = try await shell(Self.create, system, token: token)
            let id = try #require(made["id"]?.text, "\(made.text)")
            #expect(made["secret"]?.text?.hasPrefix("whsec_") == true)
            #expect(made["headers"]?["X-Custom-Header"]?.text == "value")
            let seen = try await shell(Self.look, system, token: token).text
            #expect(seen.contains(id) && seen.contains("https://your-app.com/webhook"))
            #expect(!seen.contains("whsec_"), "the secret is shown once")
            #expect(seen.contains("# TYPE webhook_http_requests_total counter"))
            for webhook in [id, own.id] { try await system.api.deleteWebhook(webhook) }
            await receiver.stop()
        }

        @Test(arguments: MartletSystem.programs) func everyServiceTellsHowItIs(program: String) async throws {
            let system = try await MartletSystem.shared(.inMemory)
            let base = system.address(of: program)
            #expect(try await system.api.call(.get, base + "/health").status == 200)
            let ready = try await system.api.call(.get, base + "/ready")
            #expect(ready.status == 200 && ready.json != nil, "\(ready.text)")
            let metrics = try await system.api.call(.get, base + "/metrics")
            #expect(metrics.header("content-type")?.hasPrefix("text/plain") == true)
            #expect(metrics.text.contains("webhook_build_info{service=\"\(program)\""))
        }
    }
}
