import Editing
import GRPC
import Postgres
import Records
import ServiceSupport
import Settings
import StandardWebhooks
import TestSupport
import Testing
import WireFormat

/// What the calls do, against a real database.
@Suite(.serialized, .timeLimit(.minutes(3))) struct ChangeTests {
    @Test func aWebhookIsCreatedReadChangedAndDeleted() async throws {
        try await withRegistry { fixture, registry in
            let client = registry.client
            let created = try await client.create { fields in
                fields.headers = [.init(name: "X-A", value: "1"), .init(name: "X-Quote", value: "\"{},\\ä")]
                fields.description = "for \"tests\""
                fields.timeoutMs = 500
                fields.maxInFlight = 3
                fields.ratePerSecond = 50
                fields.paused = true
                fields.hubSignature = true
            }
            let webhook = created.webhook
            #expect(!created.pending)
            #expect(webhook.id.hasPrefix("wh_") && webhook.id.utf8.count == 35)
            #expect(webhook.version == 1 && webhook.tenant == "acme" && webhook.enabled)
            #expect(webhook.headers.map(\.value) == ["1", "\"{},\\ä"])
            #expect(webhook.createdAtMs > 1_700_000_000_000 && webhook.updatedAtMs == webhook.createdAtMs)
            #expect(webhook.secrets.count == 1 && webhook.secrets.allSatisfy(\.sealed.isEmpty))
            #expect(try WebhookSecret(created.secret).key.count == 32)
            let read = try await client.get(webhook.id)
            #expect(read == webhook)

            let updated = try await client.update(webhook.id, version: 1) { $0.eventTypes = ["a", "b.*"] }
            #expect(updated.webhook.version == 2 && updated.webhook.eventTypes == ["a", "b.*"])
            #expect(updated.webhook.headers == webhook.headers && updated.webhook.description == webhook.description)
            let unchanged = try await client.update(webhook.id) { $0.eventTypes = ["a", "b.*"] }
            #expect(unchanged.webhook.version == 2 && !unchanged.pending)

            let published = try await fixture.records()[webhook.id]??.withoutSealedSecrets
            #expect(published == updated.webhook)
            let deleted = try await client.delete(webhook.id, version: 2)
            #expect(!deleted.pending)
            let after = try await fixture.records()
            #expect(after == [webhook.id: nil])
            #expect(await refusal { _ = try await client.get(webhook.id) }.code == .notFound)
            let left = try await fixture.count("registry.outbox")
            #expect(left == 0)
        }
    }

    @Test func aWebhookHasRetriesOfItsOwn() async throws {
        try await withRegistry { fixture, registry in
            let client = registry.client
            var schedule = WebhookRetry()
            schedule.scheduleMs = [10_000, 30_000]
            let created = try await client.create { $0.retry = schedule }
            let id = created.webhook.id
            #expect(created.webhook.retry == schedule)
            var exponential = WebhookRetry()
            exponential.initialDelayMs = 1_000
            exponential.backoffMultiplier = 1.5
            exponential.maxDelayMs = 60_000
            exponential.maxRetries = 0
            for (retry, expected) in [
                (nil, schedule), (exponential, exponential), (WebhookRetry(), nil), (schedule, schedule),
            ] as [(WebhookRetry?, WebhookRetry?)] {
                let updated = try await client.update(id) {
                    $0.description = "\(String(describing: retry))"
                    $0.retry = retry
                }
                #expect(updated.webhook.retry == expected)
                let read = try await client.get(id)
                #expect(read.retry == expected)
                let published = try await fixture.records()[id]??.retry
                #expect(published == expected)
            }
            let wrong = await refusal {
                _ = try await client.update(id) {
                    var both = schedule
                    both.maxRetries = 101
                    $0.retry = both
                }
            }
            #expect(wrong.code == .invalidArgument)
            #expect(wrong.problems == ["retry field_invalid", "retry.max_retries field_invalid"])
        }
    }

    @Test func theSecretIsSealedInTableAndTopic() async throws {
        try await withRegistry { fixture, registry in
            let created = try await registry.client.create()
            let key = try WebhookSecret(created.secret).key
            let record = try #require(try await fixture.records()[created.webhook.id] ?? nil)
            let sealer = try SecretSealer(registry.context.configuration.sealing)
            let opened = try sealer.open(try #require(record.secrets.first), of: record.id)
            #expect(opened == key)
            let row = try await fixture.pool.query("SELECT secrets FROM registry.webhooks").first
            let stored = try #require(try row?.decode("secrets", as: [UInt8].self))
            #expect(stored.count > 32 && !contains(stored, key) && !contains(record.encoded(), key))
        }
    }

    private func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
        bytes.indices.contains { bytes[$0...].starts(with: part) }
    }

    @Test func rotationKeepsTheOldSecretForTheOverlap() async throws {
        try await withRegistry(["MARTLET_REGISTRY_SECRET_OVERLAP": "2h"]) { fixture, registry in
            let created = try await registry.client.create()
            let id = created.webhook.id
            let first = try await registry.client.rotate(id)
            #expect(first.secret != created.secret && !first.pending)
            #expect(first.webhook.version == 2)
            #expect(first.webhook.secrets.map(\.expiresAtMs) == [0, first.webhook.updatedAtMs + 7_200_000])
            let second = try await registry.client.rotate(id, overlap: 60)
            #expect(second.webhook.secrets.count == 3)
            #expect(second.webhook.secrets[1...].allSatisfy { $0.expiresAtMs == second.webhook.updatedAtMs + 60_000 })
            let last = try await registry.client.rotate(id, overlap: 0)
            #expect(last.webhook.secrets.count == 1)
            let record = try #require(try await fixture.records()[id] ?? nil)
            let sealer = try SecretSealer(registry.context.configuration.sealing)
            let opened = try sealer.open(record.secrets[0], of: id)
            let expected = try WebhookSecret(last.secret).key
            #expect(opened == expected)
            for _ in 0..<4 { _ = try await registry.client.rotate(id, overlap: 60) }
            let tooMany = await refusal { _ = try await registry.client.rotate(id, overlap: 60) }
            #expect(tooMany.code == .resourceExhausted && tooMany.problems == [" too_many_secrets"])
            let tooLong = await refusal { _ = try await registry.client.rotate(id, overlap: .max) }
            #expect(tooLong.problems == ["overlap_seconds field_invalid"])
        }
    }

    @Test func aVersionThatIsNotThePresentOneIsRefused() async throws {
        try await withRegistry { _, registry in
            let id = try await registry.client.create().webhook.id
            _ = try await registry.client.update(id, version: 1) { $0.description = "x" }
            let update = await refusal { _ = try await registry.client.update(id, version: 1) { $0.description = "y" } }
            #expect(update.code == .aborted && update.problems == [" version_mismatch"])
            let delete = await refusal { _ = try await registry.client.delete(id, version: 1) }
            #expect(delete.code == .aborted)
            let present = try await registry.client.get(id)
            #expect(present.description == "x" && present.version == 2)
        }
    }

    @Test func ofConcurrentChangesOneWins() async throws {
        try await withRegistry { fixture, registry in
            let client = registry.client
            let id = try await client.create().webhook.id
            let outcomes = await withTaskGroup(of: GRPCStatus.Code?.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        await refusal {
                            _ = try await client.update(id, version: 1) { $0.description = "\(number)" }
                        }.code
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(outcomes.filter { $0 == nil }.count == 1)
            #expect(outcomes.filter { $0 == .aborted }.count == 19)
            // Without a version they all take effect, one after the other.
            await withTaskGroup(of: Void.self) { group in
                for number in 0..<20 {
                    group.addTask { _ = try? await client.update(id) { $0.description = "again \(number)" } }
                }
            }
            let present = try await client.get(id)
            #expect(present.version == 22)
            let published = try await fixture.records()[id]??.version
            #expect(published == 22)
        }
    }

    @Test func anotherTenantsWebhookDoesNotExist() async throws {
        try await withRegistry { _, registry in
            let client = registry.client
            let id = try await client.create("acme").webhook.id
            #expect(await refusal { _ = try await client.get(id, "other") }.code == .notFound)
            #expect(
                await refusal { _ = try await client.update(id, "other") { $0.description = "x" } }.code == .notFound)
            #expect(await refusal { _ = try await client.delete(id, "other") }.code == .notFound)
            #expect(await refusal { _ = try await client.rotate(id, "other") }.code == .notFound)
            let others = try await client.list("other").webhooks
            #expect(others.isEmpty)
            let untouched = try await client.get(id)
            #expect(untouched.version == 1)
            for id in ["", "wh_", "\u{0}", String(repeating: "x", count: 1000), "' OR 1=1 --"] {
                #expect(await refusal { _ = try await client.get(id) }.code == .notFound)
            }
        }
    }

    @Test func listsArePagedInOrderOfCreation() async throws {
        try await withRegistry { _, registry in
            let client = registry.client
            var ids: [String] = []
            for _ in 0..<7 { ids.append(try await client.create().webhook.id) }
            var found: [String] = []
            var sizes: [Int] = []
            var cursor = ""
            repeat {
                let page = try await client.list(limit: 3, cursor: cursor)
                found += page.webhooks.map(\.id)
                sizes.append(page.webhooks.count)
                cursor = page.next
            } while !cursor.isEmpty
            #expect(Set(found) == Set(ids) && found.count == 7)
            #expect(sizes == [3, 3, 1])
            let times = try await client.list().webhooks.map(\.createdAtMs)
            #expect(times == times.sorted())
            #expect(await refusal { _ = try await client.list(limit: 101) }.problems == ["limit field_invalid"])
            for cursor in ["x", "!!", "AAAA", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAud2g"] {
                #expect(
                    await refusal { _ = try await client.list(cursor: cursor) }.problems == ["cursor field_invalid"])
            }
        }
    }

    @Test func wrongFieldsAreNamedAndChangeNothing() async throws {
        try await withRegistry(["MARTLET_PROFILE": "development"]) { fixture, registry in
            let client = registry.client
            let wrong = await refusal {
                _ = try await client.create { fields in
                    fields.url = "ftp://example.org"
                    fields.eventTypes = ["order.created", "not a type"]
                    fields.headers = [.init(name: "Host", value: "x\r\ny")]
                    fields.timeoutMs = 1
                }
            }
            #expect(wrong.code == .invalidArgument)
            #expect(
                wrong.problems == [
                    "url field_invalid", "event_types[1] field_invalid", "headers[0].name field_invalid",
                    "headers[0].value field_invalid", "timeout_ms field_invalid",
                ])
            let missing = await refusal {
                _ = try await client.create { fields in
                    fields.url = nil
                    fields.eventTypes = nil
                }
            }
            #expect(missing.problems == ["url field_required", "event_types field_required"])
            #expect(await refusal { _ = try await client.create("No Tenant") }.problems == ["tenant field_invalid"])
            let many = await refusal {
                _ = try await client.create { $0.eventTypes = Array(repeating: "a b", count: 100) }
            }
            #expect(many.code == .invalidArgument && many.problems.count > 10)
            let stored = try await fixture.count("registry.webhooks")
            #expect(stored == 0)
        }
    }

    @Test func aTenantHasALimit() async throws {
        try await withRegistry(["MARTLET_REGISTRY_MAX_WEBHOOKS_PER_TENANT": "3"]) { fixture, registry in
            let client = registry.client
            let outcomes = await withTaskGroup(of: GRPCStatus.Code?.self) { group in
                for _ in 0..<10 { group.addTask { await refusal { _ = try await client.create() }.code } }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(outcomes.filter { $0 == nil }.count == 3)
            #expect(outcomes.filter { $0 == .resourceExhausted }.count == 7)
            _ = try await client.create("other")
            let first = try #require(try await client.list().webhooks.first)
            _ = try await client.delete(first.id)
            _ = try await client.create()
            #expect(await refusal { _ = try await client.create() }.problems == [" too_many_webhooks"])
            let stored = try await fixture.count("registry.webhooks WHERE tenant = 'acme'")
            #expect(stored == 3)
        }
    }

    @Test func callersMustShowTheToken() async throws {
        try await withRegistry { _, registry in
            let port = registry.context.configuration.registry.listenGRPC.port
            for token in ["", "another token of thirty-two bytes"] {
                let stranger = RegistryClient(port: port, token: token)
                #expect(await refusal { _ = try await stranger.list() }.code == .unauthenticated)
                #expect(await stranger.isServing)
                await stranger.close()
            }
        }
    }
}
