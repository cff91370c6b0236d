import Flags
import TestSupport
import Testing

private enum Speed: String, CaseIterable, ExpressibleByArgument { case fast, slow }

private struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run it: [now] 'or' \\ $HOME `never`.")
    @Option(name: .shortAndLong, help: "How: 'quickly' or [not] \\ $(exit 3).") var speed = Speed.fast
    @Option(valueName: "file", help: "Read.") var input: FilePath?
    @Option(valueName: "dir", help: "Written to.") var output: DirectoryPath?
    @Option(help: "Anything.") var note: [String] = []
    @Flag(name: .shortAndLong, help: "Silently.") var quiet = false
    @Argument(help: "First.") var mode: Speed
    @Argument(help: "Then.") var files: [FilePath] = []
    func run() async throws {}
}

private struct Paint: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "paint-all", abstract: "Paint.")
    @Argument(help: "Of which.") var speeds: [Speed] = []
    func run() async throws {}
}

private struct Nested: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "More.", subcommands: [Run.self, Paint.self])
}

private struct Gadget: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "my-gadget", abstract: "A gadget.", version: "1", subcommands: [Run.self, Nested.self])
}

/// What is typed, the last word being the one at the cursor, and what is offered for it.
private let cases: [(words: [String], offers: [String])] = [
    ([""], ["nested", "run"]),
    (["r"], ["run"]),
    (["x"], []),
    (["--v"], ["--version"]),
    (["nested", ""], ["paint-all", "run"]),
    (["nested", "run", "--s"], ["--speed"]),
    (["run", "--speed", ""], ["fast", "slow"]),
    (["run", "-s", "s"], ["slow"]),
    (["run", ""], ["fast", "slow"]),
    (["run", "--note", "fast", "f"], ["fast"]),
    (["run", "--quiet", "s"], ["slow"]),
    (["run", "--note", ""], []),
    (["nested", "paint-all", "fast", "slow", "f"], ["fast"]),
    (["run", "--input", "on"], ["one.txt"]),
    (["run", "--output", "o"], ["other/"]),
    (["run", "fast", "o"], ["one.txt", "other/"]),
    (["run", "fast", "one.txt", "on"], ["one.txt"]),
]

@Suite(.timeLimit(.minutes(1))) struct CompletionsTests {
    /// A folder with the script and the files that paths are completed to.
    private func folder(_ shell: CompletionShell) async throws -> String {
        let folder = try temporaryDirectory("completions")
        let script = Gadget.model.completions(for: shell)
        let made = try await run(
            "sh", "-c", "cd \"$1\" && printf %s \"$2\" > script && touch one.txt && mkdir other", "sh", folder, script)
        #expect(made.status == 0, "\(made.errors)")
        return folder
    }

    private func run(_ words: String...) async throws -> (status: Int32, output: String, errors: String) {
        let child = try ChildProcess(words[0], Array(words.dropFirst()))
        child.closeInput()
        return (try await child.exit(within: .seconds(20)), child.output, child.errors)
    }

    /// Runs `program` in the folder, which prints what is offered for each case, one a line, and an empty line after it.
    private func check(
        _ shell: CompletionShell, cases: [(words: [String], offers: [String])] = cases, _ program: String
    ) async throws {
        let folder = try await folder(shell)
        defer { removeDirectory(folder) }
        for (words, offers) in cases {
            let child = try ChildProcess(shell.rawValue, ["-c", program, "x", folder] + words)
            child.closeInput()
            #expect(try await child.exit() == 0, "\(words): \(child.errors)")
            let found = child.output.split(separator: "\n").map(String.init).sorted()
            #expect(found == offers, "\(shell) my-gadget \(words.joined(separator: " ")): \(child.errors)")
        }
    }

    @Test(.enabled("bash is not installed") { await isInstalled("bash") }) func bashOffersWhatFits() async throws {
        // Directories end in a slash only when readline shows them.
        let program = """
            cd "$1" && source ./script || exit 9
            COMP_WORDS=(my-gadget "${@:2}") COMP_CWORD=$(($# - 1))
            _my_gadget_complete
            for word in "${COMPREPLY[@]}"; do if [[ -d $word ]]; then echo "$word/"; else echo "$word"; fi; done
            """
        try await check(.bash, program)
        try await check(
            .bash,
            cases: [
                (["run", "--speed", "="], ["fast", "slow"]), (["run", "--speed", "=", "s"], ["slow"]),
                (["run", "--speed=s"], ["--speed=slow"]), (["run", "--speed", "=", "slow", "f"], ["fast"]),
                (["run", "--", "--"], []), (["run", "--", "f"], ["fast"]),
                (["run", "fast", "--i"], ["--input"]), (["run", "-"], runOptions),
                (["nested", "--"], ["--help"]), (["help", "ne"], ["nested"]),
            ], program)
    }

    private let runOptions = ["--help", "--input", "--note", "--output", "--quiet", "--speed", "-h", "-q", "-s"]

    @Test(.enabled("fish is not installed") { await isInstalled("fish") }) func fishOffersWhatFits() async throws {
        let program = """
            cd $argv[2]; and source ./script; or exit 9
            complete -C (string join ' ' -- my-gadget (string escape -n -- $argv[3..-1])) | string split -f 1 \\t
            exit 0
            """
        // Where nothing is known fish has a rule of its own for what begins with a dash: it is not asked.
        try await check(.fish, program)
    }

    /// Types on a terminal of zsh's own and reads what it lists.
    @Test(.enabled("zsh is not installed") { await isInstalled("zsh") }) func zshOffersWhatFits() async throws {
        let folder = try await folder(.zsh)
        defer { removeDirectory(folder) }
        let program = """
            zmodload zsh/zpty
            zpty shell zsh -f -i
            zpty -w shell "cd $1; PS1='READY '; TERM=dumb; setopt no_beep no_list_ambiguous list_rows_first; autoload -U compinit"
            zpty -w shell "compinit -u -D; source ./script; stty cols 30 -echo; echo loa''ded"
            zpty -r shell seen '*loaded*READY*' || exit 9
            zpty -w -n shell "my-gadget $2"$'\\x04'
            for part in "${@:3}"; do
                zpty -r shell seen "*$part*" || exit 8
                print -r -- "$part"
            done
            zpty -d shell
            """
        for (typed, shown) in [
            ("", ["nested", "run"]), ("nested ", ["paint-all", "run"]), ("run --", ["--quiet", "Silently", "--speed"]),
            ("run --speed ", ["fast", "slow"]), ("run ", ["fast", "slow"]), ("run --speed=", ["fast", "slow"]),
            ("run --note x ", ["fast", "slow"]), ("run fast o", ["one.txt", "other"]),
        ] {
            let child = try ChildProcess("zsh", ["-f", "-c", program, "x", folder, typed] + shown)
            child.closeInput()
            #expect(try await child.exit() == 0, "my-gadget \(typed): \(child.errors)")
            #expect(child.output.split(separator: "\n").map(String.init) == shown, "my-gadget \(typed)")
        }
    }

    @Test(arguments: CompletionShell.allCases) func theScriptIsCorrect(shell: CompletionShell) async throws {
        guard await isInstalled(shell.rawValue) else {
            return print("\(shell) is not installed: its syntax is unchecked")
        }
        let folder = try await folder(shell)
        defer { removeDirectory(folder) }
        let checked = try await run(shell.rawValue, "-n", "\(folder)/script")
        #expect(checked.status == 0 && checked.errors.isEmpty, "\(checked.errors)")
    }
}

private func isInstalled(_ shell: String) async -> Bool {
    guard let child = try? ChildProcess(shell, ["-c", "exit 0"]) else { return false }
    child.closeInput()
    return (try? await child.exit()) == 0
}
