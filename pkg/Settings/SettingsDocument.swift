/// Settings as a YAML document for people.
public enum SettingsDocument {
    /// Every key with its default, and before it what it means, what it takes and which variable overrides it: the file that
    /// documents the program. Secrets' defaults are shown, for they protect nothing.
    public static func reference(_ settings: [EffectiveSetting]) -> String {
        document(settings) { setting in
            let comment = "\(setting.meaning)\n(\(setting.expectation); \(setting.variable))"
            return Entry(comment: comment, value: setting.defaultValue, remark: nil)
        }
    }

    /// Every key with its value and, behind it, where that comes from. Secrets are masked.
    public static func effective(_ settings: [EffectiveSetting]) -> String {
        document(settings) { Entry(comment: nil, value: $0.shownValue, remark: $0.source.description) }
    }

    private struct Entry {
        var comment: String?
        var value: String
        var remark: String?
    }

    private static func document(_ settings: [EffectiveSetting], _ entry: (EffectiveSetting) -> Entry) -> String {
        var text = ""
        var open: [Substring] = []
        for setting in settings {
            let parts = setting.path.split(separator: ".")
            let sections = parts.dropLast()
            let shared = zip(open, sections).prefix { $0 == $1 }.count
            let entry = entry(setting)
            if !text.isEmpty, entry.comment != nil || sections.first != open.first { text += "\n" }
            for (depth, section) in sections.enumerated().dropFirst(shared) { text += indent(depth) + "\(section):\n" }
            open = Array(sections)
            let margin = indent(sections.count)
            for line in wrapped(entry.comment ?? "", width: 110 - margin.count) { text += "\(margin)# \(line)\n" }
            text += "\(margin)\(parts[parts.count - 1]): \(entry.value)"
            text += entry.remark.map { "  # \($0)\n" } ?? "\n"
        }
        return text
    }

    private static func indent(_ depth: Int) -> String { String(repeating: "  ", count: depth) }

    private static func wrapped(_ text: String, width: Int) -> [String] {
        text.split(separator: "\n").flatMap { paragraph -> [String] in
            var lines: [String] = []
            for word in paragraph.split(separator: " ") {
                if let last = lines.last, last.count + 1 + word.count <= width {
                    lines[lines.count - 1] += " \(word)"
                } else {
                    lines.append(String(word))
                }
            }
            return lines
        }
    }
}
