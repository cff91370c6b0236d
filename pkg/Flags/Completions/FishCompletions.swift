/// Completions for fish: one `complete` for each thing that can be typed, with the place where it belongs as condition.
struct FishCompletions {
    let root: CommandModel

    private var function: String { "__" + root.functionName }

    var script: String {
        let valued = root.all.flatMap { command in
            command.options.filter { $0.kind == .option }.flatMap(\.names).map { "\(command.path) \($0)" }
        }
        let paths = root.subcommands.flatMap(\.all).map(\.path)
        return """
            # fish completion for \(root.name)

            # Follows the words before the cursor: prints the command they call, then how many positional arguments came after it.
            function \(function)_place
                set -l command \(root.name.fishQuoted)
                set -l position 0
                set -l takes_value no
                set -l words (commandline -opc)
                for word in $words[2..-1]
                    if test $takes_value = yes
                        set takes_value no
                    else if contains -- "$command $word" \(list(valued))
                        set takes_value yes
                    else if contains -- "$command $word" \(list(paths))
                        set command "$command $word"
                        set position 0
                    else if not string match -q -- '-?*' $word
                        set position (math $position + 1)
                    end
                end
                echo $command
                echo $position
            end

            # Whether the command is $argv[1], and the next positional argument the one of this number, or one from it on (3+).
            function \(function)_at
                set -l place (\(function)_place)
                test "$place[1]" = "$argv[1]"; or return 1
                switch "$argv[2]"
                    case ''
                        return 0
                    case '*+'
                        test $place[2] -ge (string trim -r -c + -- $argv[2])
                    case '*'
                        test $place[2] -eq $argv[2]
                end
            end

            complete -c \(root.name) -f
            \(root.all.flatMap(completions).joined(separator: "\n"))

            """
    }

    private func list(_ words: [String]) -> String { words.map(\.fishQuoted).joined(separator: " ") }

    private func completions(_ command: CommandModel) -> [String] {
        let here = "complete -c \(root.name) -n \("\(function)_at \(command.path.fishQuoted)".fishQuoted)"
        let commands = command.subcommands.map {
            "\(here) -a \($0.name.fishQuoted) -d \($0.abstract.fishQuoted)"
        }
        let options = command.options.map { option in
            let value = option.kind == .option ? " " + self.value(option) : ""
            return "\(here) \(names(option))\(value) -d \(option.help.fishQuoted)"
        }
        let positionals = command.positionals.enumerated().compactMap { number, argument -> String? in
            guard !argument.choices.isEmpty || argument.valueKind != .text else { return nil }
            let place = "\(number)" + (argument.isRepeating ? "+" : "")
            let condition = "\(function)_at \(command.path.fishQuoted) \(place)"
            return "complete -c \(root.name) -n \(condition.fishQuoted) \(words(argument))"
        }
        return commands + options + positionals
    }

    private func names(_ option: ArgumentDefinition) -> String {
        option.names.map { name in
            name.hasPrefix("--") ? "-l \(String(name.dropFirst(2)).fishQuoted)" : "-s \(String(name.dropFirst()))"
        }.joined(separator: " ")
    }

    /// Of an option: a value is required, and is no file unless it says so.
    private func value(_ option: ArgumentDefinition) -> String {
        option.valueKind == .file
            ? "-r -F"
            : "-x" + (option.choices.isEmpty && option.valueKind == .text ? "" : " ")
                + words(option)
    }

    private func words(_ argument: ArgumentDefinition) -> String {
        if !argument.choices.isEmpty { return "-a \(argument.choices.joined(separator: " ").fishQuoted)" }
        switch argument.valueKind {
        case .text: return ""
        case .file: return "-F"
        case .directory: return "-a '(__fish_complete_directories)'"
        }
    }
}

extension String {
    /// As one word of fish, whose quoted strings know the escapes `\\` and `\'`.
    fileprivate var fishQuoted: String {
        "'" + replacing("\\", with: "\\\\").replacing("'", with: "\\'") + "'"
    }
}
