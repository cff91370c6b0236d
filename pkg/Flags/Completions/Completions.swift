/// The shells that can be taught a command.
public enum CompletionShell: String, CaseIterable, Sendable, ExpressibleByArgument {
    case bash, zsh, fish
}

extension CommandModel {
    /// A script that teaches `shell` to complete this command: the commands below it, their options with values, positional
    /// values, and files where a value names one. It is complete in itself: completing starts no program.
    public func completions(for shell: CompletionShell) -> String {
        switch shell {
        case .bash: BashCompletions(root: self).script
        case .zsh: ZshCompletions(root: self).script
        case .fish: FishCompletions(root: self).script
        }
    }

    /// This command and all below it, each before those below it.
    var all: [CommandModel] { [self] + subcommands.flatMap(\.all) }

    var positionals: [ArgumentDefinition] { arguments.filter { $0.kind == .positional } }

    /// Its options and flags, with those that the parser adds to each command.
    var options: [ArgumentDefinition] {
        var options = arguments.filter { $0.kind != .positional }
        if !version.isEmpty { options.append(.added(["--version"], "Show the version.")) }
        return options + [.added(["--help", "-h"], "Show this page.")]
    }

    /// As part of a shell function's name.
    var functionName: String { String(path.map { $0.isLetter || $0.isNumber ? $0 : "_" }) }
}

extension ArgumentDefinition {
    fileprivate static func added(_ names: [String], _ help: String) -> ArgumentDefinition {
        ArgumentDefinition(
            kind: .flag, names: names, valueName: "", help: help, isRequired: false, isRepeating: false,
            defaultText: nil, choices: [], valueKind: .text)
    }
}

extension String {
    /// As one word of bash and zsh, whatever is in it.
    var shellQuoted: String { "'" + replacing("'", with: "'\\''") + "'" }

    /// The string with each occurrence of a character replaced.
    func replacing(_ character: Character, with text: String) -> String {
        map { $0 == character ? text : String($0) }.joined()
    }
}

extension [String] {
    /// Quoted, with blanks between.
    var shellWords: String { map(\.shellQuoted).joined(separator: " ") }
}
