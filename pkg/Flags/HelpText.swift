/// What `--help` shows.
enum HelpText {
    private static let width = 100
    private static let column = 26

    static func page(_ command: any ParsableCommand.Type, path: [String]) -> String {
        let configuration = command.configuration
        let arguments = boundArguments(of: command.init()).map(\.definition)
        var page = ""
        if !configuration.abstract.isEmpty { page += "OVERVIEW: \(configuration.abstract)\n\n" }
        if !configuration.discussion.isEmpty { page += "\(configuration.discussion)\n\n" }
        page += "USAGE: \(usage(command, path: path))\n"
        page += section("ARGUMENTS", arguments.filter { $0.kind == .positional }.map(row))
        var options = arguments.filter { $0.kind != .positional }.map(row)
        if path.count <= 1, !configuration.version.isEmpty { options.append(("--version", "Show the version.")) }
        page += section("OPTIONS", options + [("-h, --help", "Show this page.")])
        let commands = configuration.subcommands.map { (label: $0.commandName, text: $0.configuration.abstract) }
        page += section("SUBCOMMANDS", commands)
        if !commands.isEmpty { page += "\n  See '\(path.joined(separator: " ")) <subcommand> --help' for each.\n" }
        return page
    }

    /// One line: `martlet send [--type <type>] [<file>]`.
    static func usage(_ command: any ParsableCommand.Type, path: [String]) -> String {
        let arguments = boundArguments(of: command.init()).map(\.definition)
        let ordered = arguments.filter { $0.kind != .positional } + arguments.filter { $0.kind == .positional }
        let subcommand = command.configuration.subcommands.isEmpty ? [] : ["<subcommand>"]
        return (path + ordered.map(\.usage) + subcommand).joined(separator: " ")
    }

    private static func row(_ argument: ArgumentDefinition) -> (label: String, text: String) {
        var notes: [String] = []
        if !argument.choices.isEmpty { notes.append("values: " + argument.choices.joined(separator: ", ")) }
        if let text = argument.defaultText, !text.isEmpty { notes.append("default: \(text)") }
        let note = notes.isEmpty ? "" : "(\(notes.joined(separator: "; ")))"
        let text = [argument.help, note].filter { !$0.isEmpty }.joined(separator: " ")
        guard argument.kind != .positional else { return ("<\(argument.valueName)>", text) }
        let names = argument.names.reversed().joined(separator: ", ")
        return (argument.kind == .option ? "\(names) <\(argument.valueName)>" : names, text)
    }

    private static func section(_ title: String, _ rows: [(label: String, text: String)]) -> String {
        rows.isEmpty ? "" : "\n\(title):\n" + rows.map { lines($0.label, $0.text) }.joined()
    }

    /// The label, and the text in a column beside it, or below where the label is too long.
    private static func lines(_ label: String, _ text: String) -> String {
        let indent = String(repeating: " ", count: column)
        var lines = ["  " + label]
        if label.count + 4 <= column {
            lines[0] += String(repeating: " ", count: column - label.count - 2)
        } else {
            lines.append(indent)
        }
        for word in text.split(separator: " ") {
            if lines[lines.count - 1].count + word.count > width { lines.append(indent) }
            lines[lines.count - 1] += word + " "
        }
        return lines.map { line in String(line.reversed().drop { $0 == " " }.reversed()) + "\n" }.joined()
    }
}
