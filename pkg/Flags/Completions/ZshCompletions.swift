/// Completions for zsh: a function for each command, made of `_arguments` (zshcompsys(1)). The script serves as an autoloaded
/// function in `fpath`, and can be sourced.
struct ZshCompletions {
    let root: CommandModel

    var script: String {
        """
        #compdef \(root.name)

        \(root.all.map(function).joined(separator: "\n\n"))

        if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
            _\(root.functionName) "$@"
        else
            compdef _\(root.functionName) \(root.name)
        fi

        """
    }

    private func function(_ command: CommandModel) -> String {
        command.subcommands.isEmpty ? leaf(command) : branch(command)
    }

    private func leaf(_ command: CommandModel) -> String {
        let specifications = command.options.flatMap(specifications) + command.positionals.map(specification)
        return """
            _\(command.functionName)() {
                _arguments -s -S \\
                    \(lines(specifications))
            }
            """
    }

    private func branch(_ command: CommandModel) -> String {
        let specifications =
            command.options.flatMap(specifications) + ["1:command:->command", "*::argument:->argument"]
        let described = command.subcommands.map { "\($0.name):\($0.abstract)".shellQuoted }
        let calls = command.subcommands.map { "\($0.name)) _\($0.functionName) && result=0 ;;" }
        return """
            _\(command.functionName)() {
                local context state state_descr line
                local -A opt_args
                local -a commands
                integer result=1
                _arguments -C -s -S \\
                    \(lines(specifications)) && result=0
                case $state in
                command)
                    commands=(
                        \(described.joined(separator: "\n            "))
                    )
                    _describe command commands && result=0 ;;
                argument)
                    case $line[1] in
                    \(calls.joined(separator: "\n        "))
                    esac ;;
                esac
                return result
            }
            """
    }

    private func lines(_ specifications: [String]) -> String {
        specifications.map(\.shellQuoted).joined(separator: " \\\n        ")
    }

    /// One for each name of an option; together they exclude each other and themselves, unless it may come again.
    private func specifications(_ option: ArgumentDefinition) -> [String] {
        option.names.map { name in
            let exclusion = option.isRepeating ? "*" : "(\(option.names.joined(separator: " ")))"
            let help = "[\(option.help.escaped("\\[]:"))]"
            guard option.kind == .option else { return exclusion + name + help }
            let joint = name.hasPrefix("--") ? "=" : "+"
            return exclusion + name + joint + help + value(option)
        }
    }

    private func specification(_ positional: ArgumentDefinition) -> String {
        if positional.isRepeating { return "*" + value(positional) }
        return (positional.isRequired ? "" : ":") + value(positional)
    }

    private func value(_ argument: ArgumentDefinition) -> String {
        ":\(argument.valueName.escaped("\\:")):\(action(argument))"
    }

    private func action(_ argument: ArgumentDefinition) -> String {
        if !argument.choices.isEmpty { return "(\(argument.choices.joined(separator: " ")))" }
        switch argument.valueKind {
        case .text: return " "
        case .file: return "_files"
        case .directory: return "_files -/"
        }
    }
}

extension String {
    /// With a backslash before each of these characters.
    fileprivate func escaped(_ characters: String) -> String {
        reduce(into: "") { $0 += characters.contains($1) ? "\\\($1)" : "\($1)" }
    }
}
