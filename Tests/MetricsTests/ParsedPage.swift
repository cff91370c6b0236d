import Testing

/// Reads Prometheus' text format 0.0.4 strictly, as its documentation states it, apart from the code under test.
struct ParsedPage {
    struct Sample: Hashable {
        var name: String
        var labels: [String: String]
    }

    struct Malformed: Error { var line: String }

    private(set) var helps: [String: String] = [:]
    private(set) var types: [String: String] = [:]
    private(set) var samples: [Sample: Double] = [:]

    func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
        samples[Sample(name: name, labels: labels)]
    }

    init(_ bytes: [UInt8]) throws {
        let text = try #require(String(validating: bytes, as: UTF8.self))
        guard text.isEmpty || text.hasSuffix("\n") else { throw Malformed(line: text) }
        var family = ""
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
            if words[0] == "#", words[1] == "HELP" {
                guard helps.updateValue(Self.unescape(words[3]), forKey: words[2]) == nil else {
                    throw Malformed(line: String(line))
                }
            } else if words[0] == "#", words[1] == "TYPE" {
                family = words[2]
                guard types.updateValue(words[3], forKey: family) == nil else { throw Malformed(line: String(line)) }
            } else {
                let sample = try Self.sample(String(line))
                let suffixes = types[family] == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
                guard suffixes.contains(where: { family + $0 == sample.0.name }),
                    samples.updateValue(sample.1, forKey: sample.0) == nil
                else { throw Malformed(line: String(line)) }
            }
        }
    }

    private static func unescape(_ text: String) -> String {
        var result = ""
        var escaped = false
        for character in text {
            if escaped {
                result.append(character == "n" ? "\n" : character)
                escaped = false
            } else if character == "\\" {
                escaped = true
            } else {
                result.append(character)
            }
        }
        return result
    }

    private static func sample(_ line: String) throws -> (Sample, Double) {
        let name = line.prefix { $0 != "{" && $0 != " " }
        var rest = line.dropFirst(name.count)
        var labels: [String: String] = [:]
        if rest.first == "{" {
            rest = rest.dropFirst()
            while rest.first != "}" {
                let label = rest.prefix { $0 != "=" }
                rest = rest.dropFirst(label.count)
                guard rest.hasPrefix("=\"") else { throw Malformed(line: line) }
                rest = rest.dropFirst(2)
                var raw = ""
                while let next = rest.first, next != "\"" {
                    raw.append(next)
                    rest = rest.dropFirst()
                    if next == "\\", let escaped = rest.first {
                        raw.append(escaped)
                        rest = rest.dropFirst()
                    }
                }
                rest = rest.dropFirst()
                labels[String(label)] = unescape(raw)
                if rest.first == "," { rest = rest.dropFirst() }
                guard !rest.isEmpty else { throw Malformed(line: line) }
            }
            rest = rest.dropFirst()
        }
        guard rest.first == " ", let value = number(String(rest.dropFirst())) else { throw Malformed(line: line) }
        return (Sample(name: String(name), labels: labels), value)
    }

    private static func number(_ text: String) -> Double? {
        switch text {
        case "+Inf": .infinity
        case "-Inf": -.infinity
        case "NaN": .nan
        default: Double(text)
        }
    }
}
