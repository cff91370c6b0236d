import JSONScanning

/// The figures for people and for programs.
enum Report {
    static let header =
        padded("benchmark", 28) + right("ns", 10) + right("allocations", 13) + right("bytes", 9) + right("memory", 11)

    static func line(_ measured: Measurement, _ threshold: Threshold?) -> String {
        var line = padded(measured.name, 28) + right(number(measured.nanoseconds), 10)
        line += right(number(measured.roundedAllocations), 13) + right(number(measured.allocatedBytes.rounded()), 9)
        // Some kilobytes are the harness' own.
        line += right(measured.keptBytes >= 1 << 16 ? megabytes(measured.keptBytes) : "", 11)
        guard let threshold else { return line }
        if measured.roundedAllocations > threshold.allocations {
            line += "  ✘ \(number(threshold.allocations)) allowed"
        }
        if threshold.isSlow(measured) { line += "  slow: was \(number(threshold.nanoseconds)) ns" }
        return line
    }

    static func json(_ measured: [(Measurement, Threshold?)]) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            for (measurement, threshold) in measured {
                writer.key(measurement.name)
                writer.object { writer in
                    writer.key("nanoseconds")
                    writer.double((measurement.nanoseconds * 10).rounded() / 10)
                    writer.key("allocations")
                    writer.double(measurement.roundedAllocations)
                    writer.key("allocated_bytes")
                    writer.double(measurement.allocatedBytes.rounded())
                    writer.member("memory_bytes", measurement.keptBytes)
                    writer.member("operations", measurement.operations)
                    guard let threshold else { return }
                    writer.key("allowed_allocations")
                    writer.double(threshold.allocations)
                }
            }
        }
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    /// Two digits after the point where the number is small, else as few as say it.
    private static func number(_ value: Double) -> String {
        guard value < 100 else { return "\(Int(value.rounded()))" }
        let hundredths = Int((value * 100).rounded())
        if hundredths % 100 == 0 { return "\(hundredths / 100)" }
        let digits = "\(hundredths % 100)"
        return "\(hundredths / 100)." + (digits.count == 1 ? "0" : "") + digits
    }

    private static func megabytes(_ bytes: Int) -> String { number(Double(bytes) / 1_048_576) + " MiB" }
}
