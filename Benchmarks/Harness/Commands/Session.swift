import CLinux
import Glibc

/// Runs scenarios one after the other on one system, and gathers the report. A scenario that fails is told about and the next one begins.
struct Session {
    let scenarios: [Scenario]
    let skipped: [String]
    let options: BenchOptions

    func run() async throws -> Report {
        let start = clinux_monotonic_ns()
        let bench = try await Bench(options) { line in
            printLine("[\(padded(Int((clinux_monotonic_ns() - start) / 1_000_000_000), 4)) s] \(line)")
        }
        var report = Report()
        report.machine = Machine.facts(kafka: bench.system.kafka, scale: options.scale)
        report.skipped = skipped
        do {
            report.references = try await bench.references()
            try await bench.warmUp()
        } catch {
            await bench.stop()
            throw error
        }
        for scenario in scenarios {
            bench.say("scenario \(scenario.name): \(scenario.shows)")
            do {
                let results = try await scenario.body(bench)
                for result in results { bench.say(Self.line(result)) }
                report.scenarios.append((scenario.name, scenario.shows, results))
            } catch {
                bench.say("scenario \(scenario.name) failed: \(error)")
                report.failures.append("\(scenario.name): \(error)")
                bench.prepared = nil
            }
        }
        await bench.stop()
        return report
    }

    private static func line(_ result: ScenarioResult) -> String {
        "\(result.name): \(number(result.rate))/s, \(result.lost) lost, \(result.duplicates) twice, p99 \(number(result.delivery.p99)) ms, "
            + "\(number(result.cpuPerEvent)) µs of CPU an event: "
            + result.processes.filter { result.perEvent($0) >= 0.1 }.map { "\($0.name) \(number(result.perEvent($0)))" }
            .joined(separator: ", ")
    }
}

/// What a figure is worth nothing without.
enum Machine {
    static func facts(kafka: String, scale: Double) -> [(name: String, value: String)] {
        let cpu = (contents("/proc/cpuinfo") ?? "").split(separator: "\n").first { $0.hasPrefix("model name") }
        let memory = (contents("/proc/meminfo") ?? "").split(separator: "\n").first { $0.hasPrefix("MemTotal") }
        let kilobytes = memory?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        let system = (contents("/etc/os-release") ?? "").split(separator: "\n").first { $0.hasPrefix("PRETTY_NAME=") }
        return [
            (
                "machine",
                "\(sysconf(Int32(_SC_NPROCESSORS_ONLN))) cores of \(cpu?.split(separator: ":").last.map { $0.drop { $0 == " " } } ?? "unknown kind"), \(kilobytes >> 20) GiB, shared by everything"
            ),
            (
                "system",
                "\(system?.split(separator: "=").last.map { $0.filter { $0 != "\"" } } ?? "Linux"), Linux \((contents("/proc/sys/kernel/osrelease") ?? "").split(separator: "\n").first ?? "")"
            ),
            (
                "commit",
                output("git", ["log", "-1", "--format=%h of %cs"])
                    + (output("git", ["status", "--porcelain"]).isEmpty ? "" : ", changed")
            ),
            (
                "Kafka",
                kafka == "memory"
                    ? "librdkafka's in-memory broker"
                    : kafka == "real"
                        ? "Apache Kafka \(kafkaVersion)" : "the configured cluster"
            ),
            (
                "libraries",
                "librdkafka \(version("librdkafka1")), libcurl \(version("libcurl4")), h2o \(version("libh2o-evloop0.13")), hiredis \(version("libhiredis0.14")), PostgreSQL \(version("postgresql-15")), Redis \(version("redis-server"))"
            ),
            ("scale", "\(number(scale))"),
        ]
    }

    /// The broker's jar names its version.
    private static var kafkaVersion: String {
        let home = getenv("KAFKA_HOME").map { String(cString: $0) } ?? ""
        return output("sh", ["-c", "ls \(home)/libs | grep -E '^kafka-clients' | sed 's/.*-\\(.*\\)\\.jar/\\1/'"])
    }

    private static func version(_ package: String) -> String {
        output("dpkg-query", ["-W", "-f", "${Version}", package])
    }

    /// What a program says; empty where it cannot.
    private static func output(_ program: String, _ arguments: [String]) -> String {
        let words = ([program] + arguments).map {
            "'" + $0.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
        }
        guard let pipe = popen(words.joined(separator: " ") + " 2>/dev/null", "r") else { return "" }
        defer { pclose(pipe) }
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = fread(&buffer, 1, buffer.count, pipe)
        return String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n").first.map(String.init) ?? ""
    }
}
