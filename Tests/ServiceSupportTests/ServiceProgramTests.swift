import Flags
import Glibc
import Testing

@testable import LifeCycle
@testable import ServiceSupport

private struct Failure: Error {}

/// A program that ends by itself.
private enum Failing: ServiceProgram {
    static let name = "failing-service"
    static let abstract = "Fails."
    static let needs: Configuration.Needs = [.sealing]
    static func services(_ context: ServiceContext) async throws -> [any Service] {
        [ClosureService(name: "broken") { throw Failure() }]
    }
}

private enum Unstartable: ServiceProgram {
    static let name = "unstartable-service"
    static let abstract = "Does not start."
    static let needs: Configuration.Needs = []
    static func services(_ context: ServiceContext) async throws -> [any Service] { throw Failure() }
}

/// Gets a signal, and checks what services find when they stop.
private enum Stopping: ServiceProgram {
    static let name = "stopping-service"
    static let abstract = "Stops."
    static let needs: Configuration.Needs = []
    static func services(_ context: ServiceContext) async throws -> [any Service] {
        [
            ClosureService(name: "checking") {
                guard ShutdownSignals.deliver("SIGTERM") else { throw Failure() }
                await gracefulShutdown()
                guard await context.readiness.report().isStopping else { throw Failure() }
            }
        ]
    }
}

@Suite struct ServiceProgramTests {
    @Test func aWrongConfigurationHasItsOwnExitCode() async {
        await #expect(processExitsWith: .exitCode(78)) {
            exit(await ServiceCommand<Failing>.execute(["--config", "/nowhere.yaml"]))
        }
        // The default sealing key, in production.
        await #expect(processExitsWith: .exitCode(78)) { exit(await ServiceCommand<Failing>.execute([])) }
    }

    @Test func whatIsWrongIsSaidOnStandardErrorAndInTheLog() async throws {
        let result = try #require(
            await #expect(
                processExitsWith: .exitCode(78), observing: [\.standardErrorContent, \.standardOutputContent]
            ) {
                setenv("MARTLET_KAFKA_PARTITIONS", "many", 1)
                exit(await ServiceCommand<Unstartable>.execute([]))
            })
        let problem = "kafka.partitions: expected an integer from 1 to 10000, found"
        let errors = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(errors.contains("unstartable-service: configuration: \(problem) \"many\" (environment MARTLET_KAFKA"))
        let log = String(decoding: result.standardOutputContent, as: UTF8.self)
        #expect(log.contains("\"level\":\"critical\",\"service\":\"unstartable-service\"") && log.contains(problem))
    }

    @Test func aSignalStopsItAndReadinessGoesFirst() async {
        await #expect(processExitsWith: .exitCode(0)) { exit(await ServiceCommand<Stopping>.execute([])) }
    }

    @Test func failuresEndTheProgram() async {
        await #expect(processExitsWith: .exitCode(1)) {
            setenv("MARTLET_PROFILE", "development", 1)
            exit(await ServiceCommand<Failing>.execute([]))
        }
        await #expect(processExitsWith: .exitCode(1)) { exit(await ServiceCommand<Unstartable>.execute([])) }
        await #expect(processExitsWith: .exitCode(64)) { exit(await ServiceCommand<Unstartable>.execute(["--confg"])) }
        await #expect(processExitsWith: .exitCode(0)) { exit(await ServiceCommand<Unstartable>.execute(["--version"])) }
    }
}
