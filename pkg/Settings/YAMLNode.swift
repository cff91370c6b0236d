/// A value in a YAML document, with the line (from 1) on which it begins.
struct YAMLNode: Sendable {
    indirect enum Content: Sendable {
        /// - isPlain: Written without quotes.
        case scalar(String, isPlain: Bool)
        case sequence([YAMLNode])
        case mapping([Member])
    }

    struct Member: Sendable {
        var key: String
        var keyLine: Int
        var value: YAMLNode
    }

    var content: Content
    var line: Int

    /// Nothing was written, or `null` or `~` without quotes.
    var isNull: Bool {
        guard case .scalar(let text, isPlain: true) = content else { return false }
        return text.isEmpty || text == "~" || text.lowercased() == "null"
    }
}

/// Why a document was refused.
struct YAMLError: Error, Equatable {
    var line: Int
    var reason: String
}
