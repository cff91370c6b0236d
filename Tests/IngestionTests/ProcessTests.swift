import Glibc
import HTTPSending
import Kafka
import Synchronization
import TestSupport
import Testing

@testable import Ingestion

/// The executable.
@Suite(.serialized) struct ProcessTests {
    private final class Senders: Sendable {
        let answered = Atomic<Int>(0)
    }

    private func start(_ service: IngestionFixture) async throws -> ChildProcess {
        let child = try ChildProcess(
            try builtProgram("event-ingestion"),
            environment: service.environment.merging(["MARTLET_LOG_LEVEL": "info"]) { $1 })
        guard await service.isReady() else {
            child.signal(SIGKILL)
            throw ChildProcess.Failure(description: "\(child.output)\(child.errors)")
        }
        return child
    }

    /// Sends from several tasks until nobody answers any more: for each task its answers, the last one of them a failure.
    private func send(
        to service: IngestionFixture, when many: Int, _ end: () async throws -> Void
    ) async throws -> [[(id: String, answer: Answer)]] {
        let senders = Senders()
        let tasks = (0..<8).map { sender in
            Task {
                var answers: [(id: String, answer: Answer)] = []
                while answers.last?.answer.failure == nil {
                    let id = "\(sender)-\(answers.count)"
                    answers.append((id, await service.post(#"{"id":"\#(id)","type":"a","source":"b"}"#)))
                    senders.answered.add(1, ordering: .relaxed)
                }
                return answers
            }
        }
        #expect(await eventually(within: .seconds(30)) { senders.answered.load(ordering: .relaxed) > many })
        try await end()
        var all: [[(id: String, answer: Answer)]] = []
        for task in tasks { all.append(await task.value) }
        return all
    }

    @Test(arguments: KafkaBroker.available) func sigtermUnderLoadRefusesNothing(_ kind: KafkaBroker.Kind) async throws {
        let service = try IngestionFixture(try await .shared(kind), redis: try await .shared())
        let child = try await start(service)
        let answers = try await send(to: service, when: 500) {
            let began = ContinuousClock.now
            child.signal(SIGTERM)
            let status = try await child.exit(within: .seconds(15))
            #expect(status == 0)
            #expect(ContinuousClock.now - began < .seconds(10))
        }
        for sender in answers {
            #expect(sender.dropLast().allSatisfy { $0.answer.status == 202 })
            #expect(sender.last?.answer.failure?.hasPrefix("connect:") == true, "\(sender.last?.answer.failure ?? "")")
        }
        let accepted = answers.joined().filter { $0.answer.status == 202 }.map(\.id)
        let ids = try await service.events().compactMap { $0.text("ce_id") }
        // Each once: nothing was lost, nothing is there that was refused.
        #expect(ids.sorted() == accepted.sorted())
        #expect(child.output.contains(#""message":"stopped""#))
        #expect(child.output.split(separator: "\n").allSatisfy { $0.hasPrefix("{") && $0.hasSuffix("}") })
    }

    @Test(arguments: KafkaBroker.available) func aKillUnderLoadLosesNoAcceptedEvent(_ kind: KafkaBroker.Kind)
        async throws
    {
        let service = try IngestionFixture(try await .shared(kind), redis: try await .shared())
        let child = try await start(service)
        let answers = try await send(to: service, when: 500) {
            child.signal(SIGKILL)
            try await child.exit()
        }
        let accepted = answers.joined().filter { $0.answer.status == 202 }.map(\.id)
        #expect(accepted.count > 400)
        let ids = try await service.events().compactMap { $0.text("ce_id") }
        #expect(Set(ids).isSuperset(of: accepted))
        #expect(Set(ids).count == ids.count)
    }

    @Test func aSecondOneOnThePortSaysSo() async throws {
        let service = try IngestionFixture(try await .shared(.inMemory))
        let child = try await start(service)
        let second = try ChildProcess(try builtProgram("event-ingestion"), environment: service.environment)
        #expect(try await second.exit() == 1)
        #expect(second.errors.contains("127.0.0.1:\(service.port) is in use"), "\(second.errors)")
        child.signal(SIGTERM)
        #expect(try await child.exit(within: .seconds(15)) == 0)
    }

    @Test func aWrongConfigurationEndsTheStart() async throws {
        let child = try ChildProcess(
            try builtProgram("event-ingestion"),
            environment: ["MARTLET_PROFILE": "development", "MARTLET_INGESTION_THREADS": "none"])
        #expect(try await child.exit() == 78)
        #expect(child.errors.contains("ingestion.threads: expected an integer from 1 to 64, found \"none\""))
        let production = try ChildProcess(try builtProgram("event-ingestion"), environment: [:])
        #expect(try await production.exit() == 78)
        #expect(production.errors.contains("auth.secret"))
    }
}
