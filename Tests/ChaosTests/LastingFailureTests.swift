import JSONScanning
import Synchronization
import TestSupport
import Testing

extension ChaosTests {
    /// Over all processes, with days made seconds: an endpoint that fails for good is switched off, one that is mended in time is not, and the
    /// tenant's other webhook is told of both.
    @Test func anEndpointThatFailsForGoodIsSwitchedOff() async throws {
        let system = try await ChaosSystem(
            memoryBrokers: 1,
            settings: [
                "MARTLET_BREAKER_WINDOW": "1s", "MARTLET_BREAKER_MINIMUM_REQUESTS": "2",
                "MARTLET_BREAKER_OPEN_FOR": "200ms",
                "MARTLET_BREAKER_DISABLE_AFTER": "4s",
            ])
        let isMended = Mutex(false)
        let receiver = try await Receiver(paths: ["/broken", "/mended", "/told"], keeps: 100_000) { path in
            path == "/told" || (path == "/mended" && isMended.withLock { $0 }) ? 204 : 500
        }
        _ = try await system.makeWebhook(url: receiver.url("/told"), type: "martlet.webhook.*")
        let type = KafkaBroker.uniqueName("lasting")
        let broken = try await system.makeWebhook(url: receiver.url("/broken"), type: type)
        let mended = try await system.makeWebhook(url: receiver.url("/mended"), type: type)
        func isTold(_ what: String, _ webhook: String) -> Bool {
            receiver.requests.contains { request in
                guard request.path == "/told", let body = try? JSONValue(parsing: request.body) else { return false }
                return body["type"]?.text == "martlet.webhook.\(what)" && body["data"]?["webhook_id"]?.text == webhook
            }
        }
        let load = ChaosLoad(system, type: type)
        load.start(rate: 20, senders: 2)
        #expect(await eventually(within: .seconds(30)) { isTold("failing", mended) })
        isMended.withLock { $0 = true }
        #expect(await eventually(within: .seconds(30)) { isTold("recovered", mended) })
        #expect(await eventually(within: .seconds(60)) { isTold("disabled", broken) })
        await load.stop()
        #expect(isTold("failing", broken) && !isTold("recovered", broken) && !isTold("disabled", mended))
        let off = try await system.get("/api/v1/webhooks/\(broken)")
        let on = try await system.get("/api/v1/webhooks/\(mended)")
        #expect(off["enabled"]?.boolean == false && on["enabled"]?.boolean == true)
        #expect(off["disabled_reason"]?.text?.isEmpty == false)
        await receiver.stop()
        await system.close()
    }
}
