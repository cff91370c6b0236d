/// A property of a command's instance with what it takes.
struct BoundArgument {
    let definition: ArgumentDefinition
    let property: any ArgumentProperty
}

/// The properties of `value` in the order in which they are written, those of groups at their place.
func boundArguments(of value: Any) -> [BoundArgument] {
    Mirror(reflecting: value).children.flatMap { child -> [BoundArgument] in
        if let group = child.value as? any ArgumentGroup { return boundArguments(of: group.group) }
        guard let property = child.value as? any ArgumentProperty, let label = child.label else { return [] }
        // A wrapper is stored under the property's name with `_` before it.
        let name = String(label.drop { $0 == "_" })
        return [BoundArgument(definition: property.definition(label: name), property: property)]
    }
}

/// Finds the command that words call, and fills in its properties.
struct CommandLineParser {
    let root: any ParsableCommand.Type

    /// The command, ready to run, and the words that call it. Throws `UsageError`, `HelpRequest` or `VersionRequest`.
    func parse(_ words: [String]) throws -> (any ParsableCommand, path: [String]) {
        var rest = words[...]
        let asksForHelp = rest.first == "help" && !root.configuration.subcommands.isEmpty
        if asksForHelp { rest = rest.dropFirst() }
        let (type, path) = try command(&rest)
        let options = rest.prefix { $0 != "--" }
        if asksForHelp || options.contains("--help") || options.contains("-h") {
            throw HelpRequest(type: type, path: path)
        }
        if type == root, options.contains("--version"), !root.configuration.version.isEmpty {
            throw VersionRequest(version: root.configuration.version)
        }
        let command = type.init()
        var filling = Filling(boundArguments(of: command))
        do throws(ValidationError) {
            try filling.takeAll(rest)
        } catch {
            throw UsageError(message: error.message, command: type, path: path)
        }
        return (command, path)
    }

    /// Follows the leading words down the tree and drops them.
    private func command(
        _ rest: inout ArraySlice<String>
    ) throws(UsageError) -> (any ParsableCommand.Type, [String]) {
        var type = root
        var path = [root.commandName]
        while !type.configuration.subcommands.isEmpty, let word = rest.first, !word.hasPrefix("-") {
            guard let next = type.configuration.subcommands.first(where: { $0.commandName == word }) else {
                let hint = suggestion(word, among: type.configuration.subcommands.map { $0.commandName })
                throw UsageError(message: "there is no command '\(word)'\(hint)", command: type, path: path)
            }
            type = next
            path.append(word)
            rest = rest.dropFirst()
        }
        return (type, path)
    }
}
