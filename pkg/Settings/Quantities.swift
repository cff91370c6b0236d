/// Where a server listens or is found: `127.0.0.1:8080`, `[::1]:8080`, `kafka.internal:9092`.
public struct HostPort: Hashable, Sendable, CustomStringConvertible {
    /// Without brackets.
    public var host: String
    public var port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0,
            text[text.index(after: colon)...].utf8.allSatisfy({ $0 != UInt8(ascii: "+") })
        else { return nil }
        var host = text[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if isBracketed { host = host.dropFirst().dropLast() }
        let allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_" + (isBracketed ? ":%" : "")
        guard !host.isEmpty, host.utf8.count <= 255, host.allSatisfy(allowed.contains) else { return nil }
        self.init(host: String(host), port: port)
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Sizes as they are written.
enum ByteSize {
    private static let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)]

    static func parse(_ text: String) -> Int? {
        for (unit, factor) in units where text.hasSuffix(unit) {
            return digits(text.dropLast(unit.count)).flatMap { product($0, factor) }
        }
        return digits(text[...])
    }

    static func text(_ bytes: Int) -> String {
        for (unit, factor) in units where bytes > 0 && bytes % factor == 0 && factor > 1 {
            return "\(bytes / factor)\(unit)"
        }
        return "\(bytes)"
    }
}

/// Durations as they are written, in whole milliseconds.
enum DurationText {
    private static let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)]

    static func parse(_ text: String) -> Duration? {
        if text == "0" { return .zero }
        for (unit, factor) in units where text.hasSuffix(unit) {
            guard let count = digits(text.dropLast(unit.count)) else { continue }
            return product(count, factor).map { .milliseconds($0) }
        }
        return nil
    }

    static func text(_ duration: Duration) -> String {
        let milliseconds = Int(duration / .milliseconds(1))
        if milliseconds == 0 { return "0" }
        // Hours up to three days read better than days.
        let usable = milliseconds <= 72 * 3_600_000 ? units.dropLast() : units[...]
        for (unit, factor) in usable.reversed() where milliseconds % factor == 0 {
            return "\(milliseconds / factor)\(unit)"
        }
        return "\(milliseconds)ms"
    }
}

/// Decimal digits alone: no sign, no blanks.
private func digits(_ text: Substring) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
        return nil
    }
    return Int(text)
}

private func product(_ a: Int, _ b: Int) -> Int? {
    let (result, overflow) = a.multipliedReportingOverflow(by: b)
    return overflow ? nil : result
}
