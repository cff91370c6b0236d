import Glibc
import JSONScanning

/// What an operation may take.
struct Threshold: Sendable {
    /// More fail the run. Those of a C library count too, and may differ with its version: the signature's are OpenSSL's.
    var allocations: Double
    /// As it was on the machine that `Benchmarks/LOG.md` names; times are not compared but marked where they are more than `tolerance` as long.
    var nanoseconds: Double

    static let tolerance = 2.0

    /// The checkout's.
    static let committed = #filePath.dropLast("Bench/Threshold.swift".count) + "thresholds.json"

    struct Unreadable: Error, CustomStringConvertible {
        let description: String
    }

    /// Of a file `{"path/variant": {"allocations": 1, "nanoseconds": 250}, …}`.
    static func read(_ path: some StringProtocol) throws -> [String: Threshold] {
        guard let file = fopen(String(path), "r") else {
            throw Unreadable(description: "\(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
        var table = try JSONFields(try JSONValue(parsing: bytes))
        var read: [String: Threshold] = [:]
        guard case .object(let object) = try JSONValue(parsing: bytes) else { return [:] }
        for name in object.keys {
            guard let value = table.value(name) else { continue }
            var fields = try JSONFields(value, path: name)
            let allocations = try fields.number("allocations", in: 0...1e9)
            let nanoseconds = try fields.number("nanoseconds", in: 0...1e12)
            read[name] = Threshold(
                allocations: try fields.required("allocations", allocations),
                nanoseconds: try fields.required("nanoseconds", nanoseconds))
            try fields.refuseOthers()
        }
        return read
    }

    /// Why a benchmark fails.
    static func problems(_ measured: Measurement, _ threshold: Threshold?) -> [String] {
        guard let threshold else { return ["\(measured.name): there is no threshold for it"] }
        guard measured.roundedAllocations > threshold.allocations else { return [] }
        return [
            "\(measured.name): \(measured.roundedAllocations) allocations for each operation, \(threshold.allocations) are allowed"
        ]
    }

    func isSlow(_ measured: Measurement) -> Bool { measured.nanoseconds > nanoseconds * Self.tolerance }
}
