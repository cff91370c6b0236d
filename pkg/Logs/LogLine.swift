/// One line being built: a JSON object in UTF-8 and a line feed.
struct LogLine {
    /// What a line's own fields are called; metadata under such a name gets a `_` behind it.
    private static let reserved: Set<String> = ["time", "level", "service", "logger", "message"]
    /// Longer strings are cut: an endpoint's answer must not fill the disk.
    static let maximumStringBytes = 8_192
    private static let maximumDepth = 8

    private var bytes: [UInt8] = []

    init(capacity: Int) { bytes.reserveCapacity(capacity) }

    mutating func begin(timeMs: Int64, level: Logger.Level, service: String, label: String, message: String) {
        append(raw: "{\"time\":\"")
        append(timeMs: timeMs)
        append(raw: "\",\"level\":\"")
        append(raw: level.rawValue)
        append(raw: "\",\"service\":")
        append(string: service)
        append(raw: ",\"logger\":")
        append(string: label)
        append(raw: ",\"message\":")
        append(string: message)
    }

    /// In order of the keys, so that equal events give equal lines.
    mutating func append(_ metadata: Logger.Metadata) {
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            bytes.append(UInt8(ascii: ","))
            append(string: Self.reserved.contains(key) ? key + "_" : key)
            bytes.append(UInt8(ascii: ":"))
            append(value, depth: 0)
        }
    }

    consuming func finished() -> [UInt8] {
        bytes.append(UInt8(ascii: "}"))
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    private mutating func append(_ value: Logger.MetadataValue, depth: Int) {
        switch value {
        case .string(let text): append(string: text)
        case .stringConvertible(let value): append(convertible: value)
        case .array(let values) where depth < Self.maximumDepth:
            bytes.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                append(value, depth: depth + 1)
            }
            bytes.append(UInt8(ascii: "]"))
        case .dictionary(let members) where depth < Self.maximumDepth:
            bytes.append(UInt8(ascii: "{"))
            for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                append(string: member.key)
                bytes.append(UInt8(ascii: ":"))
                append(member.value, depth: depth + 1)
            }
            bytes.append(UInt8(ascii: "}"))
        case .array, .dictionary: append(string: "…")
        }
    }

    private mutating func append(convertible value: any CustomStringConvertible & Sendable) {
        switch value {
        case let flag as Bool: append(raw: flag ? "true" : "false")
        case let integer as any BinaryInteger: append(raw: String(describing: integer))
        case let double as Double where double.isFinite: append(raw: double.description)
        default: append(string: value.description)
        }
    }

    private mutating func append(string: String) {
        bytes.append(UInt8(ascii: "\""))
        var length = 0
        for scalar in string.unicodeScalars {
            length += UTF8.width(scalar)
            guard length <= Self.maximumStringBytes else {
                append(raw: "…")
                break
            }
            append(scalar)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func append(_ scalar: Unicode.Scalar) {
        switch scalar {
        case "\"": append(raw: "\\\"")
        case "\\": append(raw: "\\\\")
        case "\n": append(raw: "\\n")
        case "\r": append(raw: "\\r")
        case "\t": append(raw: "\\t")
        case _ where scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value):
            append(raw: "\\u00")
            for digit in [scalar.value >> 4, scalar.value & 15] {
                bytes.append(Array("0123456789abcdef".utf8)[Int(digit)])
            }
        default: bytes.append(contentsOf: UTF8.encode(scalar)!)
        }
    }

    private mutating func append(raw text: String) { bytes.append(contentsOf: text.utf8) }

    /// RFC 3339 in UTC with milliseconds.
    private mutating func append(timeMs: Int64) {
        let (days, msOfDay) = Self.floorDivision(timeMs, 86_400_000)
        let (year, month, day) = Self.civil(daysSince1970: days)
        append(digits: year, 4, then: "-")
        append(digits: month, 2, then: "-")
        append(digits: day, 2, then: "T")
        append(digits: msOfDay / 3_600_000, 2, then: ":")
        append(digits: msOfDay / 60_000 % 60, 2, then: ":")
        append(digits: msOfDay / 1_000 % 60, 2, then: ".")
        append(digits: msOfDay % 1_000, 3, then: "Z")
    }

    private mutating func append(digits value: Int64, _ width: Int, then separator: Unicode.Scalar) {
        var divisor: Int64 = 1
        for _ in 1..<width { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(value / divisor % 10))
            divisor /= 10
        }
        bytes.append(UInt8(ascii: separator))
    }

    private static func floorDivision(_ a: Int64, _ b: Int64) -> (Int64, Int64) {
        let remainder = (a % b + b) % b
        return ((a - remainder) / b, remainder)
    }

    /// The proleptic Gregorian date. Years are counted from March, so that the leap day comes last; an era is 400 years.
    private static func civil(daysSince1970: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = floorDivision(daysSince1970 + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}
