import GRPC
import Glibc
import Kafka
import Postgres
import Records
import ServiceSupport
import Settings
import TestSupport
import Testing
import WireFormat

/// From the outbox to topic `webhooks`, whatever breaks on the way.
@Suite(.serialized, .timeLimit(.minutes(5))) struct RelayTests {
    @Test(arguments: KafkaBroker.available) func changesArriveInOrder(kind: KafkaBroker.Kind) async throws {
        try await withRegistry(kafka: try await .shared(kind)) { fixture, registry in
            let client = registry.client
            var ids: [String] = []
            for _ in 0..<10 { ids.append(try await client.create().webhook.id) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, id) in ids.enumerated() {
                    group.addTask {
                        for number in 0..<5 { _ = try await client.update(id) { $0.description = "\(number)" } }
                        if index % 2 == 0 { _ = try await client.delete(id) }
                    }
                }
                try await group.waitForAll()
            }
            let records = try await fixture.records()
            for (index, id) in ids.enumerated() {
                let record = try #require(records[id])
                #expect(record?.version == (index % 2 == 0 ? nil : 6))
            }
            #expect(registry.metric("webhook_registry_published_total") == 10 + 50 + 5)
        }
    }

    @Test func withoutKafkaChangesAreStoredAndPending() async throws {
        let kafka = try KafkaBroker.ownInMemory()
        try await withRegistry(kafka: kafka) { fixture, registry in
            let early = try await registry.client.create()
            #expect(!early.pending)
            kafka.mock?.setDown()
            let started = ContinuousClock.now
            let created = try await registry.client.create()
            #expect(created.pending)
            #expect(.now - started < .seconds(9))
            let waiting = try await fixture.count("registry.outbox")
            #expect(waiting == 1)
            kafka.mock?.setUp()
            #expect(
                await eventually(within: .seconds(30)) { (try? await fixture.count("registry.outbox")) == 0 })
            let published = try await fixture.records()[created.webhook.id]??.version
            #expect(published == 1)
            let later = try await registry.client.create()
            #expect(!later.pending)
        }
    }

    @Test func theOutboxSurvivesAKillBetweenCommitAndPublication() async throws {
        let kafka = try KafkaBroker.ownInMemory()
        let fixture = try await RegistryFixture(kafka: kafka)
        let (child, client) = try await startProcess(fixture)
        kafka.mock?.setDown()
        let created = Task { try await client.create() }
        #expect(await eventually { (try? await fixture.count("registry.outbox")) == 1 })
        child.signal(SIGKILL)
        #expect(try await child.exit() == -SIGKILL)
        _ = try? await created.value
        await client.close()
        kafka.mock?.setUp()
        let second = try await fixture.start()
        #expect(await eventually(within: .seconds(20)) { (try? await fixture.count("registry.outbox")) == 0 })
        let listed = try await second.client.list().webhooks
        let published = try await fixture.records()
        #expect(listed.count == 1)
        for webhook in listed { #expect(published[webhook.id]??.version == 1) }
        try await second.stop()
        await fixture.close()
    }

    @Test func ofTwoProcessesOnePublishesAndTheOtherTakesOver() async throws {
        let fixture = try await RegistryFixture()
        let first = try await fixture.start()
        #expect(await eventually { first.metric("webhook_registry_relay_leader") == 1 })
        let second = try await fixture.start(leads: false)
        for number in 0..<10 {
            let registry = number % 2 == 0 ? first : second
            let created = try await registry.client.create()
            #expect(!created.pending)
        }
        #expect(second.metric("webhook_registry_relay_leader") == 0)
        #expect(second.metric("webhook_registry_published_total") == 0)
        try await first.stop()
        let created = try await second.client.create()
        #expect(!created.pending)
        #expect(second.metric("webhook_registry_relay_leader") == 1)
        let published = try await fixture.records().count
        #expect(published == 11)
        try await second.stop()
        await fixture.close()
    }

    @Test func theDatabaseMayRestart() async throws {
        let server = try await PostgresServer()
        let fixture = try await RegistryFixture(server)
        let registry = try await fixture.start()
        let id = try await registry.client.create().webhook.id
        await server.stop()
        let away = await refusal { _ = try await registry.client.get(id) }
        #expect(away.code == .unavailable)
        #expect(await registry.context.readiness.report().isReady == false)
        try await server.start()
        #expect(await eventually(within: .seconds(20)) { (try? await registry.client.get(id).version) == 1 })
        #expect(
            await eventually(within: .seconds(20)) {
                (try? await registry.client.update(id) { $0.description = "x" }.pending) == false
            })
        #expect(await eventually { await registry.context.readiness.report().isReady })
        try await registry.stop()
        await fixture.close()
        await server.remove()
    }

    @Test func aProcessStopsOnSIGTERMWithCallsUnderWay() async throws {
        let kafka = try KafkaBroker.ownInMemory()
        let fixture = try await RegistryFixture(kafka: kafka)
        let (child, client) = try await startProcess(fixture)
        // With Kafka away the answer waits: a stop must not, and must not lose it.
        kafka.mock?.setDown()
        let created = Task { try await client.create() }
        #expect(await eventually { (try? await fixture.count("registry.outbox")) == 1 })
        let started = ContinuousClock.now
        child.signal(SIGTERM)
        let reply = try await created.value
        #expect(reply.pending)
        let status = try await child.exit()
        #expect(status == 0, "\(child.output)\(child.errors)")
        #expect(.now - started < .seconds(10))
        await client.close()
        await fixture.close()
    }

    @Test func aStopUnderLoadLosesNothingThatWasAnswered() async throws {
        let fixture = try await RegistryFixture()
        let (child, client) = try await startProcess(fixture)
        let load = (0..<8).map { _ in
            Task {
                var answered: [String] = []
                while true {
                    do {
                        answered.append(try await client.create().webhook.id)
                    } catch {
                        let status = try #require(error as? GRPCStatus)
                        #expect(status.code == .unavailable, "\(status)")
                        return answered
                    }
                }
            }
        }
        #expect(
            await eventually(within: .seconds(60)) { ((try? await fixture.count("registry.webhooks")) ?? 0) > 50 })
        child.signal(SIGTERM)
        var answered: Set<String> = []
        for task in load { answered.formUnion(try await task.value) }
        let status = try await child.exit()
        #expect(status == 0, "\(child.output)\(child.errors)")
        let stored = try await fixture.pool.query("SELECT id FROM registry.webhooks").map {
            try $0.decode("id", as: String.self)
        }
        #expect(answered.subtracting(stored).isEmpty)
        let second = try await fixture.start()
        #expect(await eventually { (try? await fixture.count("registry.outbox")) == 0 })
        let published = try await fixture.records()
        #expect(Set(stored).subtracting(published.keys).isEmpty && published.count == stored.count)
        try await second.stop()
        await client.close()
        await fixture.close()
    }

    @Test func aSchemaThatIsNotMigratedEndsTheStart() async throws {
        let fixture = try await RegistryFixture()
        try await fixture.pool.query("DROP SCHEMA registry CASCADE")
        let settings = fixture.environment(grpc: freePort(), http: freePort())
        let child = try ChildProcess(try builtProgram("webhook-registry"), environment: settings)
        #expect(try await child.exit() == 1)
        let missing = "0001_webhooks, 0002_retry, 0003_gate, 0004_failing"
        #expect(child.errors.contains("the database schema registry lacks \(missing): migrate it first"))
        await fixture.close()
    }

    @Test func aPortInUseEndsTheStart() async throws {
        try await withRegistry { fixture, registry in
            let port = registry.context.configuration.registry.listenGRPC.port
            let settings = fixture.environment(grpc: port, http: freePort())
            let child = try ChildProcess(try builtProgram("webhook-registry"), environment: settings)
            let status = try await child.exit()
            #expect(status == 1)
            #expect(child.errors.contains("cannot listen on 127.0.0.1:\(port): Address already in use"))
        }
    }

    /// The executable itself, serving.
    private func startProcess(_ fixture: RegistryFixture) async throws -> (ChildProcess, RegistryClient) {
        let grpc = freePort()
        let child = try ChildProcess(
            try builtProgram("webhook-registry"), environment: fixture.environment(grpc: grpc, http: freePort()))
        let client = RegistryClient(port: grpc)
        guard await eventually(within: .seconds(20), { await client.isServing }) else {
            child.signal(SIGKILL)
            throw ChildProcess.Failure(description: "the registry did not start: \(child.output)\(child.errors)")
        }
        return (child, client)
    }
}
