internal import Glibc
internal import HTTPServing

extension Reception {
    /// For a person: the request line, the headers, what the signature is worth, the body.
    var text: String {
        var lines = ["#\(number)  \(request.method) \(printable(target))  \(clockText(receivedAtMs))"]
        let width = request.headers.map { $0.name.count }.max() ?? 0
        for (name, value) in request.headers {
            lines.append("  \(name.padded(to: width))  \(printable(value))")
        }
        switch signature {
        case .verified: lines.append("  signature: verified")
        case .refused(let reason): lines.append("  signature: NOT verified: \(reason)")
        case .unchecked: lines.append("  signature: not checked (no --secret)")
        }
        lines.append("  answered: \(status)")
        lines.append("")
        lines.append(
            request.body.isEmpty ? "  (no body)" : "  " + printable(String(decoding: request.body, as: UTF8.self)))
        return lines.joined(separator: "\n") + "\n"
    }

    private var target: String { request.query.map { "\(request.path)?\($0)" } ?? request.path }
}

/// Without what a terminal would act upon: whoever can send to the receiver chooses these texts.
func printable(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        let isControl = scalar.value < 0x20 && scalar != "\n" && scalar != "\t"
        let isHidden = (0x7f...0x9f).contains(scalar.value) || scalar.properties.isBidiControl
        if isControl || isHidden {
            result += "\\u{" + String(scalar.value, radix: 16) + "}"
        } else {
            result.unicodeScalars.append(scalar)
        }
    }
    return result
}

/// The local time of day with milliseconds.
func clockText(_ milliseconds: Int64) -> String {
    var seconds = time_t(milliseconds / 1_000)
    var parts = tm()
    localtime_r(&seconds, &parts)
    let fields = [parts.tm_hour, parts.tm_min, parts.tm_sec].map { twoDigits(Int($0)) }
    let fraction = String(1_000 + milliseconds % 1_000).dropFirst()
    return fields.joined(separator: ":") + ".\(fraction)"
}

private func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }

extension String {
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: Swift.max(0, width - count))
    }
}
