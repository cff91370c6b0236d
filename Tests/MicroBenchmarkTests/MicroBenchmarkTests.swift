import Glibc
import JSONScanning
import TestSupport
import Testing

/// `bench-micro` as it was built with the tests, that is: not optimized. What is allocated then is not what a release allocates, so here
/// it is tested that the paths give the right results and that the comparison compares; `make bench-micro` holds a release to the thresholds.
@Suite struct MicroBenchmarkTests {
    private func run(_ arguments: String...) async throws -> (status: Int32, output: String) {
        let child = try ChildProcess(try builtProgram("bench-micro"), arguments)
        child.closeInput()
        let status = try await child.exit(within: .seconds(120))
        return (status, child.output + child.errors)
    }

    private static let committed = Python.checkout + "/Benchmarks/Micro/thresholds.json"

    private func parsed(_ path: String) throws -> JSONObject {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&bytes, 1, bytes.count, file)
        guard case .object(let object) = try JSONValue(parsing: Array(bytes.prefix(count))) else { return JSONObject() }
        return object
    }

    @Test func everyPathGivesTheRightResult() async throws {
        let folder = try temporaryDirectory("micro")
        defer { removeDirectory(folder) }
        let json = folder + "/figures.json"
        let run = try await run("--allocations", "--webhooks", "1000", "--json", json)
        #expect(run.status == 0, "\(run.output)")
        let names = try parsed(json).keys
        #expect(Set(names).count == names.count && names.count > 20)
        for name in names { #expect(run.output.contains("\n\(name) ")) }
    }

    @Test func everyPathHasAThreshold() async throws {
        let list = try await run("--list")
        #expect(list.status == 0)
        let names = list.output.split(separator: "\n").map(String.init)
        #expect(Set(names) == Set(try parsed(Self.committed).keys))
    }

    private func compare(_ thresholds: String) async throws -> (status: Int32, output: String) {
        let folder = try temporaryDirectory("micro")
        defer { removeDirectory(folder) }
        let path = folder + "/thresholds.json"
        try write(thresholds, to: path)
        return try await run("--allocations", "--only", "outcome.", "--thresholds", path)
    }

    @Test func moreAllocationsThanAllowedFail() async throws {
        let enough = #"{"allocations": 100000, "nanoseconds": 1}"#
        let none = #"{"allocations": 0, "nanoseconds": 1}"#
        let good = try await compare(#"{"outcome.encode": \#(enough), "outcome.decode": \#(enough)}"#)
        #expect(good.status == 0, "\(good.output)")
        // Slow is said, and is no failure.
        #expect(good.output.contains("slow: was 1 ns"))
        let bad = try await compare(#"{"outcome.encode": \#(enough), "outcome.decode": \#(none)}"#)
        #expect(bad.status == 1)
        #expect(bad.output.contains("✘ outcome.decode: ") && !bad.output.contains("✘ outcome.encode"))
    }

    @Test func thresholdsAndPathsBelongTogether() async throws {
        let enough = #"{"allocations": 100000, "nanoseconds": 1}"#
        let missing = try await compare(#"{"outcome.encode": \#(enough)}"#)
        #expect(missing.status == 1 && missing.output.contains("outcome.decode: there is no threshold for it"))
        let unknown = try await compare(
            #"{"outcome.encode": \#(enough), "outcome.decode": \#(enough), "outcome.paint": \#(enough)}"#)
        #expect(unknown.status == 1 && unknown.output.contains("outcome.paint: there is no such benchmark"))
        let malformed = try await compare(#"{"outcome.encode": {"allocations": 1}}"#)
        #expect(malformed.status != 0 && malformed.output.contains("nanoseconds"))
    }
}
