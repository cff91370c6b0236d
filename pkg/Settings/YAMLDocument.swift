internal import CYAML

/// Reads one YAML document from libyaml's events into nodes.
///
/// Refused, with its line: what a settings file does not need and what is used for attacks or accidents: anchors, aliases and tags,
/// keys given twice or that are not plain text, several documents, too much depth, nodes or bytes.
struct YAMLDocument {
    static let maximumBytes = 1 << 20
    static let maximumDepth = 16
    static let maximumNodes = 20_000

    /// libyaml's parser; on the heap, for it must not move.
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private var nodeCount = 0

    /// The document's root; an empty one gives an empty mapping.
    static func read(_ bytes: [UInt8]) throws(YAMLError) -> YAMLNode {
        guard bytes.count <= maximumBytes else {
            throw YAMLError(line: 1, reason: "the file is larger than \(maximumBytes) bytes")
        }
        let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        defer { parser.deallocate() }
        guard yaml_parser_initialize(parser) == 1 else { throw YAMLError(line: 1, reason: "out of memory") }
        defer { yaml_parser_delete(parser) }
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        let result = bytes.withUnsafeBufferPointer { buffer -> Result<YAMLNode, YAMLError> in
            yaml_parser_set_input_string(parser, buffer.baseAddress, buffer.count)
            var document = YAMLDocument(parser: parser)
            return Result { () throws(YAMLError) in try document.root() }
        }
        return try result.get()
    }

    private init(parser: UnsafeMutablePointer<yaml_parser_t>) { self.parser = parser }

    /// What of an event is needed, copied out of libyaml's memory.
    private struct Event {
        var kind: yaml_event_type_t
        var line: Int
        var text = ""
        var isPlain = false
    }

    private mutating func root() throws(YAMLError) -> YAMLNode {
        var root = YAMLNode(content: .mapping([]), line: 1)
        var hasDocument = false
        while true {
            let event = try next()
            switch event.kind {
            case YAML_STREAM_START_EVENT, YAML_DOCUMENT_END_EVENT: continue
            case YAML_DOCUMENT_START_EVENT where hasDocument:
                throw YAMLError(line: event.line, reason: "a second document begins here")
            case YAML_DOCUMENT_START_EVENT:
                hasDocument = true
                root = try node(try next(), depth: 1)
                if root.isNull { root.content = .mapping([]) }
            default: return root
            }
        }
    }

    private mutating func node(_ event: Event, depth: Int) throws(YAMLError) -> YAMLNode {
        nodeCount += 1
        guard nodeCount <= Self.maximumNodes else {
            throw YAMLError(line: event.line, reason: "more than \(Self.maximumNodes) values")
        }
        guard depth <= Self.maximumDepth else {
            throw YAMLError(line: event.line, reason: "nested deeper than \(Self.maximumDepth) levels")
        }
        switch event.kind {
        case YAML_SEQUENCE_START_EVENT:
            return YAMLNode(content: .sequence(try sequence(depth: depth)), line: event.line)
        case YAML_MAPPING_START_EVENT:
            return YAMLNode(content: .mapping(try mapping(depth: depth)), line: event.line)
        default:
            return YAMLNode(content: .scalar(event.text, isPlain: event.isPlain), line: event.line)
        }
    }

    private mutating func sequence(depth: Int) throws(YAMLError) -> [YAMLNode] {
        var elements: [YAMLNode] = []
        while true {
            let event = try next()
            if event.kind == YAML_SEQUENCE_END_EVENT { return elements }
            elements.append(try node(event, depth: depth + 1))
        }
    }

    private mutating func mapping(depth: Int) throws(YAMLError) -> [YAMLNode.Member] {
        var members: [YAMLNode.Member] = []
        var lines: [String: Int] = [:]
        while true {
            let key = try next()
            if key.kind == YAML_MAPPING_END_EVENT { return members }
            guard key.kind == YAML_SCALAR_EVENT else { throw YAMLError(line: key.line, reason: "a key must be text") }
            if let first = lines.updateValue(key.line, forKey: key.text) {
                throw YAMLError(line: key.line, reason: "key \"\(key.text)\" was given on line \(first) already")
            }
            let value = try node(try next(), depth: depth + 1)
            members.append(YAMLNode.Member(key: key.text, keyLine: key.line, value: value))
        }
    }

    private mutating func next() throws(YAMLError) -> Event {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else { throw problem() }
        defer { yaml_event_delete(&event) }
        let line = Int(event.start_mark.line) + 1
        switch event.type {
        case YAML_ALIAS_EVENT: throw YAMLError(line: line, reason: "aliases (*name) are not taken")
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            try refuse(anchor: scalar.anchor, tag: scalar.tag, line: line)
            let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE
            return Event(kind: event.type, line: line, text: text, isPlain: isPlain)
        case YAML_SEQUENCE_START_EVENT:
            let start = event.data.sequence_start
            try refuse(anchor: start.anchor, tag: start.tag, line: line)
        case YAML_MAPPING_START_EVENT:
            let start = event.data.mapping_start
            try refuse(anchor: start.anchor, tag: start.tag, line: line)
        default: break
        }
        return Event(kind: event.type, line: line)
    }

    private func refuse(
        anchor: UnsafeMutablePointer<UInt8>?, tag: UnsafeMutablePointer<UInt8>?, line: Int
    ) throws(YAMLError) {
        if anchor != nil { throw YAMLError(line: line, reason: "anchors (&name) are not taken") }
        if tag != nil { throw YAMLError(line: line, reason: "tags (!name) are not taken") }
    }

    private func problem() -> YAMLError {
        let state = parser.pointee
        let reason = state.problem.map { String(cString: $0) } ?? "cannot be read"
        let context = state.context.map { " " + String(cString: $0) } ?? ""
        return YAMLError(line: Int(state.problem_mark.line) + 1, reason: reason + context)
    }
}
