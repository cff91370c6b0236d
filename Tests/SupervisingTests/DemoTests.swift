import JSONScanning
import StandardWebhooks
import TestSupport
import Testing

@testable import Supervising

@Suite(.timeLimit(.minutes(1))) struct DemoTests {
    private func demo(
        _ behaviour: FakeSystem.Behaviour, _ printed: Printed, _ change: (inout DemoOptions) -> Void = { _ in }
    )
        async throws -> (Result<DemoResult, DemoError>, FakeSystem)
    {
        let system = try await FakeSystem(behaviour)
        var options = DemoOptions()
        options.gatewayURL = system.url
        options.ingestionURL = system.url
        options.timeoutMilliseconds = 20_000
        change(&options)
        let result: Result<DemoResult, DemoError>
        do throws(DemoError) {
            result = .success(try await runDemo(options, output: printed.output))
        } catch {
            result = .failure(error)
        }
        await system.stop()
        return (result, system)
    }

    @Test func everyStepIsShownAndNothingIsLeft() async throws {
        let printed = Printed()
        let (result, system) = try await demo(FakeSystem.Behaviour(), printed)
        let demo = try result.get()
        #expect(demo.delivered.deliveryID == "dlv_1-wh_1" && demo.delivered.webhookID == "wh_1")
        #expect(demo.delivered.attempts.map(\.status) == [200])
        #expect(demo.retried.attempts.map(\.status) == [500, 500, 200])
        #expect(demo.retried.attempts.map { $0.dueAtMs != nil } == [true, true, false])
        #expect(demo.retried.lateMilliseconds.count == 2)
        #expect(demo.requeued.deadID == "dlv_3-wh_3" && demo.requeued.deliveryID == "again-dlv_3-wh_3")
        #expect(demo.requeued.reason == "retries_spent")
        #expect(system.webhooks.isEmpty)
        // In this order.
        var lines = printed.results[...]
        for part in [
            "receiver ", "login ", "webhook ", "event ", "signature: verified", "dlv_1-wh_1: delivered",
            "attempt    1: delivered, status 200 in 1.5 ms", "tried again", "webhook    wh_2", "event ",
            "request    1 at ",
            ": answered 500", "waiting    until ", "request    2 at ", "waiting    until ", "request    3 at ",
            "delivered at request 3", "dead letter", "webhook    wh_3", ": answered 400",
            "dead       dlv_3-wh_3 after 2 requests: retries_spent", "requeued   as again-dlv_3-wh_3",
            "request    3 at ", "delivery   again-dlv_3-wh_3: delivered",
        ] {
            guard let found = lines.firstIndex(where: { $0.contains(part) }) else {
                Issue.record("\(part) is not in \(lines)")
                continue
            }
            lines = lines[found...]
        }
    }

    @Test func asJSONItIsOneLineOfOutput() async throws {
        let printed = Printed()
        _ = try await demo(FakeSystem.Behaviour(), printed) { $0.json = true }
        #expect(printed.results.count == 1)
        let answer = JSONValue(answer: Array((printed.results.first ?? "").utf8))
        #expect(answer?["delivery_id"]?.text == "dlv_1-wh_1")
        #expect(answer?["retried"]?["attempts"]?.elements?.count == 3)
        #expect(answer?["requeued"]?["reason"]?.text == "retries_spent")
        #expect(!printed.notes.isEmpty)
    }

    @Test func anEventThatWentNowhereIsFollowedByAnother() async throws {
        let printed = Printed()
        let (result, _) = try await demo(FakeSystem.Behaviour(deliversFrom: 2), printed)
        _ = try result.get()
        #expect(printed.results.filter { $0.hasPrefix("event ") }.count == 4)
    }

    @Test(arguments: [
        (FakeSystem.Behaviour(password: "other"), "logging in", "wrong user"),
        (FakeSystem.Behaviour(signsWith: WebhookSecret()), "verifying the signature", "no signature fits"),
        (FakeSystem.Behaviour(status: "dead"), "waiting for the delivery in the API", "dead (r)"),
        (FakeSystem.Behaviour(retries: false), "waiting for request 2", "it did not arrive within"),
        (FakeSystem.Behaviour(keepsDeadLetters: false), "waiting for the dead letter", "does not know it within"),
        (FakeSystem.Behaviour(requeues: false), "waiting for request 3", "it did not arrive within"),
    ])
    func aFailureNamesItsStep(behaviour: FakeSystem.Behaviour, step: String, reason: String) async throws {
        let (result, system) = try await demo(behaviour, Printed()) { $0.timeoutMilliseconds = 2_000 }
        guard case .failure(let error) = result else {
            Issue.record("the demo went through")
            return
        }
        #expect(error.step == step)
        #expect(error.reason.contains(reason))
        #expect(!system.webhooks.contains { $0 != "wh_old" })
    }

    @Test func aGatewayThatIsAwayIsNamed() async throws {
        let url = "http://127.0.0.1:\(freePort())"
        let (result, _) = try await demo(FakeSystem.Behaviour(), Printed()) { $0.gatewayURL = url }
        guard case .failure(let error) = result else {
            Issue.record("the demo went through")
            return
        }
        #expect(error.step == "logging in")
        #expect(error.reason.contains(url))
        #expect(error.reason.contains("refused"))
    }
}
