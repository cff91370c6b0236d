import Glibc
import TestSupport
import Testing

/// The guide's commands, on a system of their own; only ports are put in.
@Suite struct CommandTests {
    /// What a block of commands has to show.
    private struct Expectation {
        var output: [String] = []
        /// What it shows comes a moment later, so it is tried until it does.
        var comesLater = false
        /// It stays in the foreground until the page's end.
        var stays = false
        /// What the commands that stay have to print because of it.
        var elsewhere: [String] = []
    }

    /// In the order of the page's blocks.
    private static let expectations: [(page: String, blocks: [Expectation])] = [
        ("README.md", [Expectation(output: ["webhook-dispatcher", "ready"]), Expectation()]),
        (
            "sending.md",
            [
                Expectation(output: [#"{"id":"order-1042-paid","status":"accepted","duplicate":false}"#]),
                Expectation(output: [#""status":"accepted","duplicate":false"#]),
                Expectation(output: ["2 accepted, 0 not", "accepted: evt-"]),
                Expectation(output: ["order.paid", "delivered"], comesLater: true),
                Expectation(output: ["  from ", "status 204"]),
            ]
        ),
        (
            "receiving.md",
            [
                Expectation(stays: true), Expectation(),
                Expectation(elsewhere: ["demo.hello", #"{"hello":"world"}"#]),
                Expectation(output: [#""secret":"whsec_"#, #""expires_at":"20"#]),
            ]
        ),
        (
            "retries.md",
            [
                Expectation(stays: true), Expectation(), Expectation(elsewhere: ["retry.example"]),
                Expectation(output: [#""status":"retrying""#, #""explanation":"#, #""next":{"#], comesLater: true),
                Expectation(output: [#""reason":"status_500""#, #""success_rate":0"#]),
                Expectation(output: ["status_500"]),
            ]
        ),
        ("errors.md", [Expectation(output: [#""code":"unknown_field""#, #""field":"sauce""#])]),
        (
            "operating.md",
            [
                Expectation(output: ["brokers:", "✓ configuration"]), Expectation(),
                Expectation(output: ["profile: production", "MARTLET_AUTH_SECRET_FILE"]),
                Expectation(output: ["Added alice, of tenant shop."]),
                Expectation(output: ["webhooks", "users"]),
                Expectation(output: [#""status":"ready""#]),
                Expectation(output: ["webhook_delivery_attempts_total"]),
            ]
        ),
    ]

    @Test func everyPageIsHere() {
        let withCommands = Set(GuidePage.all.filter { !$0.blocks(in: "sh").isEmpty }.map(\.name))
        #expect(Set(Self.expectations.map(\.page)) == withCommands)
    }

    @Test(.enabled("needs PyPI") { await Python.isAvailable() }) func everyCommandDoesWhatItsPageSays() async throws {
        let system = try await RunningSystem(.inMemory, purpose: "guide")
        do {
            let shell = try GuideShell(system)
            let receiver = try await Receiver(paths: ["/orders"])
            for (name, expected) in Self.expectations {
                let page = GuidePage(name)
                let blocks = page.blocks(in: "sh")
                try #require(blocks.count == expected.count, "\(name) has \(blocks.count) blocks of commands")
                if name == "sending.md" { try await prepareSending(shell, receiver) }
                for (block, expectation) in zip(blocks, expected) {
                    try await check(block, expectation, "\(name):\(block.line)", shell)
                    if name == "sending.md", block.line == blocks[2].line { try await sendToKafka(shell, receiver) }
                }
                await shell.endThoseThatStay()
            }
            await receiver.stop()
        } catch {
            try await system.stop()
            throw error
        }
        try await system.stop()
    }

    private func check(
        _ block: GuidePage.Block, _ expectation: Expectation, _ place: String, _ shell: GuideShell
    ) async throws {
        if expectation.stays { return try await shell.start(block.text) }
        var result = GuideShell.Result()
        let isShown = try await eventually(within: .seconds(expectation.comesLater ? 30 : 0)) {
            result = try await shell.run(block.text)
            return result.status == 0 && expectation.output.allSatisfy { result.output.contains($0) }
        }
        try #require(isShown, "\(place): ended with \(result.status): \(result.output)\(result.errors)")
        let isElsewhere = await eventually(within: .seconds(20)) {
            expectation.elsewhere.allSatisfy { shell.outputOfThoseThatStay.contains($0) }
        }
        #expect(isElsewhere, "\(place): \(expectation.elsewhere) is missing: \(shell.outputOfThoseThatStay)")
        if block.text.contains("/api/v1/webhooks") { try await shell.awaitRouting() }
    }

    /// The page's reader has a webhook.
    private func prepareSending(_ shell: GuideShell, _ receiver: Receiver) async throws {
        let made = try await shell.run(
            """
            curl --fail localhost:8080/api/v1/webhooks -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
              -d '{"url":"\(receiver.url("/orders"))","event_types":["order.*","invoice.*"]}'
            """)
        try #require(made.status == 0, "\(made.output)\(made.errors)")
        try await shell.awaitRouting()
    }

    /// The page's producer in Python.
    private func sendToKafka(_ shell: GuideShell, _ receiver: Receiver) async throws {
        let snippet = try GuidePage("sending.md").block(in: "python").text
        _ = try await Python.run(shell.localized(snippet))
        #expect(await eventually { receiver.ids(at: "/orders").contains("invoice-7-sent") })
        let request = try #require(receiver.requests.first { $0.header("webhook-id") == "invoice-7-sent" })
        #expect(request.body == Array(#"{"invoice":7}"#.utf8) && request.header("ce-source") == "/shop")
        // The answers before promised that these would be delivered, too.
        let ids: Set<String> = ["order-1042-paid", "a-1", "a-2", "b-1", "b-2"]
        #expect(await eventually { ids.isSubset(of: receiver.ids(at: "/orders")) })
        #expect(receiver.distinct == ids.count + 3, "two more have no id of their own")
    }
}
