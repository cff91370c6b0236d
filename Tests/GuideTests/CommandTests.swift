import Glibc
import TestSupport
import Testing

/// The guide's commands, on a system of their own; only ports are put in.
@Suite(.serialized) struct CommandTests {
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
                Expectation(stays: true), Expectation(output: [#""schedule_ms":[60000,300000,900000]"#]),
                Expectation(elsewhere: ["retry.example"]),
                Expectation(output: [#""status":"retrying""#, #""explanation":"#, #""next":{"#], comesLater: true),
                Expectation(output: [#""reason":"status_500""#, #""success_rate":0"#]),
                Expectation(output: ["status_500", "  retrying  "]),
                Expectation(output: ["retrying"], elsewhere: ["#2  POST"]), Expectation(output: ["dlv_"]),
                Expectation(output: [#""status":"cancelled""#], comesLater: true),
                Expectation(output: ["repeats dlv_"], elsewhere: ["#3  POST"]),
                Expectation(output: [#""status":"pending""#], elsewhere: ["martlet.test"]),
                Expectation(stays: true), Expectation(), Expectation(elsewhere: ["letter.example"]),
                Expectation(output: ["attempts_exhausted", #""state":"open""#], comesLater: true),
                Expectation(output: ["discarded"]),
                Expectation(output: ["2 dead letters would be requeued."], comesLater: true),
                Expectation(output: ["Requeued 2 of 2 dead letters."], elsewhere: ["#5  POST", "answered: 200"]),
                Expectation(output: ["requeued as dlv_"]),
                Expectation(output: [#""requeued":0"#, #""dry_run":true"#]),
            ]
        ),
        ("errors.md", [Expectation(output: [#""code":"unknown_field""#, #""field":"sauce""#])]),
        (
            "operating.md",
            [
                Expectation(output: ["brokers:", "✓ configuration"]), Expectation(),
                Expectation(output: ["profile: production", "MARTLET_AUTH_SECRET_FILE"]),
                Expectation(output: ["Added alice, of tenant shop."]),
                Expectation(), Expectation(output: ["wh_", "alice", "admin"]), Expectation(),
                Expectation(output: [#""status":"ready""#]),
                Expectation(
                    output: [
                        "pg_size_pretty", "used_memory_human:", "webhook_history_size_bytes", "webhook_retries_pending",
                        "webhook_events_dedup_window_seconds 86400",
                    ]),
                Expectation(output: ["webhook_delivery_attempts_total"]),
                // After all that the pages before have done.
                Expectation(output: ["unaccounted: 0", "Balanced."]),
            ]
        ),
    ]

    @Test func everyPageIsHere() {
        let withCommands = Set(GuidePage.all.filter { !$0.blocks(in: "sh").isEmpty }.map(\.name))
        #expect(Set(Self.expectations.map(\.page)) == withCommands)
    }

    @Test func everyCommandDoesWhatItsPageSays() async throws {
        try await withSystem { shell in
            let receiver = try await Receiver(paths: ["/orders"])
            for (name, expected) in Self.expectations {
                let blocks = GuidePage(name).blocks(in: "sh")
                try #require(blocks.count == expected.count, "\(name) has \(blocks.count) blocks of commands")
                if name == "sending.md" { try await makeWebhook(shell, receiver.url("/orders"), "order.*") }
                for (block, expectation) in zip(blocks, expected) {
                    try await check(block, expectation, "\(name):\(block.line)", shell)
                    // What a restore takes back.
                    if block.text.contains("pg_dump") { try await makeWebhook(shell, "http://localhost:1/", "later.*") }
                    if block.text.contains("pg_restore --clean") { try await expectObedience(shell) }
                }
                if name == "sending.md" { await expectEverythingSent(receiver) }
                await shell.endThoseThatStay()
            }
            await receiver.stop()
        }
    }

    /// The producer in Python on the page about sending.
    @Test(.enabled("needs PyPI") { await Python.isAvailable() }) func whatIsWrittenToKafkaIsDelivered() async throws {
        try await withSystem { shell in
            let receiver = try await Receiver(paths: ["/invoices"])
            try await check(try GuidePage("README.md").block(in: "sh", containing: "TOKEN="), Expectation(), "", shell)
            try await makeWebhook(shell, receiver.url("/invoices"), "invoice.*")
            let snippet = try GuidePage("sending.md").block(in: "python").text
            _ = try await Python.run(shell.localized(snippet))
            #expect(await eventually { receiver.ids(at: "/invoices").contains("invoice-7-sent") })
            let request = try #require(receiver.requests.first)
            #expect(request.body == Array(#"{"invoice":7}"#.utf8) && request.header("ce-source") == "/shop")
            await receiver.stop()
        }
    }

    private func withSystem(_ work: (GuideShell) async throws -> Void) async throws {
        let system = try await RunningSystem(.inMemory, purpose: "guide")
        do {
            try await work(try GuideShell(system))
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

    private func makeWebhook(_ shell: GuideShell, _ url: String, _ types: String) async throws {
        let made = try await shell.run(
            """
            curl --fail localhost:8080/api/v1/webhooks -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
              -d '{"url":"\(url)","event_types":["\(types)"]}'
            """)
        try #require(made.status == 0, "\(made.output)\(made.errors)")
        try await shell.awaitRouting()
    }

    /// The page's answers promised that these are delivered.
    private func expectEverythingSent(_ receiver: Receiver) async {
        let ids: Set<String> = ["order-1042-paid", "a-1", "a-2", "b-1", "b-2"]
        // Two more have no id of their own.
        let isThere = await eventually {
            ids.isSubset(of: receiver.ids(at: "/orders")) && receiver.distinct == ids.count + 2
        }
        #expect(isThere, "\(receiver.ids(at: "/orders"))")
    }

    /// The page says that the registry, started again, makes the dispatchers forget what the database no longer has.
    private func expectObedience(_ shell: GuideShell) async throws {
        try await shell.endRegistry()
        try await shell.awaitRouting()
        let webhooks = try await shell.run(
            #"curl "localhost:8080/api/v1/webhooks?limit=100" -H "Authorization: Bearer $TOKEN""#)
        #expect(webhooks.output.contains("order.*") && !webhooks.output.contains("later.*"), "\(webhooks.output)")
    }
}
