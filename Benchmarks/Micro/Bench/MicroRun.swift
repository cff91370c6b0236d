import CMeasuring
import Flags
import Glibc

/// One run of the benchmarks.
struct MicroRun: Sendable {
    let benchmarks: [Benchmark]
    let rounds: Int
    /// Where the figures go as JSON.
    let json: String?
    /// Instead of the committed ones.
    let thresholds: String?

    /// Prints the figures and returns what is wrong with them.
    func measureAll() throws -> [String] {
        let known = try knownThresholds()
        // A counter that did not count would find every path free of allocations.
        guard measuring_counts() != 0 else { return ["allocations are not counted here"] }
        print(Report.header)
        var measured: [(Measurement, Threshold?)] = []
        var failures: [String] = []
        for benchmark in benchmarks {
            let measurement = try benchmark.measure(rounds: rounds)
            let threshold = known?[benchmark.name]
            print(Report.line(measurement, threshold))
            fflush(nil)
            if known != nil { failures += Threshold.problems(measurement, threshold) }
            measured.append((measurement, threshold))
        }
        if let known {
            let names = Set(Benchmark.all.map(\.name))
            failures += known.keys.filter { !names.contains($0) }.sorted().map { "\($0): there is no such benchmark" }
        }
        if let json { try write(Report.json(measured), to: json) }
        return failures
    }

    /// nil where nothing is compared: the committed ones are of an optimized build.
    private func knownThresholds() throws -> [String: Threshold]? {
        if let thresholds { return try Threshold.read(thresholds) }
        #if DEBUG
            print("Not optimized: nothing is compared.")
            return nil
        #else
            return try Threshold.read(Threshold.committed)
        #endif
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        guard let file = fopen(path, "w") else { throw ValidationError("\(path): \(String(cString: strerror(errno)))") }
        defer { fclose(file) }
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count, fflush(file) == 0 else {
            throw ValidationError("\(path): \(String(cString: strerror(errno)))")
        }
    }
}
