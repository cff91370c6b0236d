/// Completions for bash 4 and newer, without the package bash-completion. The functions share variables by bash's dynamic scoping.
struct BashCompletions {
    let root: CommandModel

    private var function: String { "_" + root.functionName }

    var script: String {
        """
        # bash completion for \(root.name)

        # Sets what the command "$1" takes: commands below it, options, and of those the ones with a value.
        \(function)_describe() {
            case "$1" in
        \(root.all.map(description).joined(separator: "\n"))
            esac
        }

        # Offers the values of one place: an option of a command, or its positional argument with that number.
        \(function)_values() {
            case "$1" in
        \(root.all.flatMap(values).joined(separator: "\n"))
            esac
        }

        # Offers those words that begin as the current one does.
        \(function)_offer() {
            local word
            for word in "$@"; do
                if [[ $word == "$current"* ]]; then COMPREPLY+=("$word"); fi
            done
        }

        \(function)_files() {
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen "$1" -- "$current")
        }

        \(completion)
        complete -F \(function)_complete \(root.name)

        """
    }

    /// Follows the words before the cursor down the tree. `--option=value` comes as three words where COMP_WORDBREAKS has its =,
    /// as one where it does not.
    private var completion: String {
        """
        \(function)_complete() {
            local current="${COMP_WORDS[COMP_CWORD]}" command=\(root.name.shellQuoted) option='' plain='' prefix='' position=0 index word
            local -a commands=() options=() valued=()
            COMPREPLY=()
            \(function)_describe "$command"
            for ((index = 1; index < COMP_CWORD; index++)); do
                word="${COMP_WORDS[index]}"
                if [[ $word == '=' ]]; then
                    continue
                elif [[ -n $option ]]; then
                    option=''
                elif [[ -z $plain && $word == '--' ]]; then
                    plain=yes
                elif [[ -z $plain && $word == -?* ]]; then
                    if [[ " ${valued[*]} " == *" $word "* ]]; then option="$word"; fi
                elif [[ " ${commands[*]} " == *" $word "* ]]; then
                    command+=" $word"
                    position=0
                    \(function)_describe "$command"
                else
                    ((position += 1))
                fi
            done
            if [[ $current == '=' ]]; then current=''; fi
            if [[ -z $option && -z $plain && $current == --*=* ]]; then
                option="${current%%=*}"
                prefix="$option="
                current="${current#*=}"
            fi
            if [[ -n $option ]]; then
                \(function)_values "$command $option"
            elif [[ -z $plain && $current == -* ]]; then
                \(function)_offer "${options[@]}"
            elif ((${#commands[@]} > 0)); then
                \(function)_offer "${commands[@]}"
            else
                \(function)_values "$command $position"
                if [[ -z $plain && -z $current && ${#COMPREPLY[@]} -eq 0 ]]; then \(function)_offer "${options[@]}"; fi
            fi
            COMPREPLY=("${COMPREPLY[@]/#/$prefix}")
        }
        """
    }

    private func description(_ command: CommandModel) -> String {
        let valued = command.options.filter { $0.kind == .option }.flatMap(\.names)
        return """
                \(command.path.shellQuoted))
                    commands=(\(command.subcommands.map(\.name).shellWords))
                    options=(\(command.options.flatMap(\.names).shellWords))
                    valued=(\(valued.shellWords)) ;;
            """
    }

    private func values(_ command: CommandModel) -> [String] {
        let options = command.options.filter { $0.kind == .option }.compactMap { option in
            action(option).map { action in
                let places = option.names.map { "\(command.path) \($0)".shellQuoted }
                return "    \(places.joined(separator: " | "))) \(action) ;;"
            }
        }
        let positionals = command.positionals.enumerated().compactMap { number, argument in
            action(argument).map { action in
                let place =
                    argument.isRepeating
                    ? "\(command.path) ".shellQuoted + "[0-9]*"
                    : "\(command.path) \(number)".shellQuoted
                return "    \(place)) \(action) ;;"
            }
        }
        return options + positionals
    }

    /// nil where nothing can be offered.
    private func action(_ argument: ArgumentDefinition) -> String? {
        if !argument.choices.isEmpty { return "\(function)_offer \(argument.choices.shellWords)" }
        switch argument.valueKind {
        case .text: return nil
        case .file: return "\(function)_files -f"
        case .directory: return "\(function)_files -d"
        }
    }
}
