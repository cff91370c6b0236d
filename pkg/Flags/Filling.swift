internal import Spelling

/// One command's arguments being filled in from its words.
struct Filling {
    private let arguments: [BoundArgument]
    private var positionals: ArraySlice<BoundArgument>
    private var given: Set<String> = []

    init(_ arguments: [BoundArgument]) {
        self.arguments = arguments
        positionals = arguments.filter { $0.definition.kind == .positional }[...]
    }

    mutating func takeAll(_ words: ArraySlice<String>) throws(ValidationError) {
        var rest = words
        while let word = rest.popFirst() {
            if word == "--" {
                while let word = rest.popFirst() { try takePositional(word) }
            } else if word.hasPrefix("-"), word != "-" {
                try takeNamed(word, &rest)
            } else {
                try takePositional(word)
            }
        }
        for argument in arguments where argument.definition.isRequired && !given.contains(key(argument)) {
            throw ValidationError("\(argument.definition.usage) is missing")
        }
    }

    private func key(_ argument: BoundArgument) -> String {
        argument.definition.names.first ?? argument.definition.valueName
    }

    private mutating func takePositional(_ word: String) throws(ValidationError) {
        guard let next = positionals.first else { throw ValidationError("unexpected argument '\(word)'") }
        if !next.definition.isRepeating { positionals = positionals.dropFirst() }
        try take(word, for: next, name: "<\(next.definition.valueName)>")
    }

    private mutating func takeNamed(_ word: String, _ rest: inout ArraySlice<String>) throws(ValidationError) {
        let name = String(word.prefix { $0 != "=" })
        let attached = name == word ? nil : String(word.dropFirst(name.count + 1))
        guard let argument = arguments.first(where: { $0.definition.names.contains(name) }) else {
            if try takeCluster(word) { return }
            throw ValidationError(
                "there is no option '\(name)'\(suggestion(name, among: arguments.flatMap(\.definition.names)))")
        }
        if argument.definition.kind == .flag {
            guard attached == nil else { throw ValidationError("\(name) takes no value") }
            return try take("", for: argument, name: name)
        }
        guard let value = attached ?? popValue(&rest) else {
            throw ValidationError("\(name) needs a value: \(name) <\(argument.definition.valueName)>")
        }
        guard argument.definition.isRepeating || !given.contains(key(argument)) else {
            throw ValidationError("\(name) was given twice")
        }
        try take(value, for: argument, name: name)
    }

    /// The next word, unless it looks like an option; `-` alone does not, and `--name=-1` takes what does.
    private func popValue(_ rest: inout ArraySlice<String>) -> String? {
        guard let next = rest.first, next == "-" || !next.hasPrefix("-") else { return nil }
        return rest.popFirst()
    }

    /// `-ab` for `-a -b`, flags all; false where it is something else.
    private mutating func takeCluster(_ word: String) throws(ValidationError) -> Bool {
        guard !word.hasPrefix("--") else { return false }
        let flags = word.dropFirst().map { letter in
            arguments.first { $0.definition.kind == .flag && $0.definition.names.contains("-\(letter)") }
        }
        guard flags.allSatisfy({ $0 != nil }) else { return false }
        for case let flag? in flags { try take("", for: flag, name: word) }
        return true
    }

    private mutating func take(_ word: String, for argument: BoundArgument, name: String) throws(ValidationError) {
        given.insert(key(argument))
        guard argument.property.take(word) else {
            let choices = argument.definition.choices
            let expected = choices.isEmpty ? "" : ", expected one of \(choices.joined(separator: ", "))"
            throw ValidationError("'\(word)' is no value for \(name)\(expected)\(suggestion(word, among: choices))")
        }
    }
}

/// `; did you mean 'x'?`, or nothing.
func suggestion(_ word: String, among candidates: [String]) -> String {
    Spelling.suggestion(for: word, among: candidates).map { "; did you mean '\($0)'?" } ?? ""
}
