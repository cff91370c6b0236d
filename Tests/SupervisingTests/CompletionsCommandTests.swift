import Flags
import TestSupport
import Testing

@testable import Supervising

/// `martlet completions bash`, as bash uses it. How scripts are made for each shell is FlagsTests' part.
@Suite(.timeLimit(.minutes(1))) struct CompletionsCommandTests {
    private func offers(_ words: String...) async throws -> [String] {
        let program = """
            source <("$1" completions bash) || exit 9
            COMP_WORDS=(martlet "${@:2}") COMP_CWORD=$(($# - 1))
            _martlet_complete
            printf '%s\\n' "${COMPREPLY[@]}"
            """
        let child = try ChildProcess("bash", ["-c", program, "x", try builtProgram("martlet")] + words)
        child.closeInput()
        #expect(try await child.exit() == 0, "\(child.errors)")
        return child.output.split(separator: "\n").map(String.init)
    }

    @Test func everyCommandIsOffered() async throws {
        #expect(Set(try await offers("")).isSuperset(of: ["up", "down", "logs", "users", "completions"]))
        #expect(try await offers("u") == ["up", "users"])
        #expect(try await offers("users", "a") == ["add"])
        #expect(try await offers("completions", "") == ["bash", "zsh", "fish"])
    }

    @Test func optionsAndTheirValuesAreOffered() async throws {
        #expect(Set(try await offers("send", "--")).isSuperset(of: ["--type", "--ordering-key", "--state", "--help"]))
        #expect(try await offers("up", "--ports", "") == ["standard", "auto"])
        #expect(try await offers("logs", "webhook-r") == ["webhook-registry"])
        #expect(try await offers("config", "print", "--config", "/etc/host").contains("/etc/hosts"))
    }

    /// A group's option would be hidden by the command's own of that name.
    @Test func noCommandHasTwoOptionsOfOneName() {
        func check(_ command: CommandModel) {
            let names = command.arguments.flatMap(\.names)
            #expect(Set(names).count == names.count, "\(command.path): \(names)")
            for below in command.subcommands { check(below) }
        }
        check(MartletCommand.model)
    }

    @Test func anUnknownShellIsRefused() async throws {
        let child = try ChildProcess(try builtProgram("martlet"), ["completions", "tcsh"])
        #expect(try await child.exit() == 64)
        #expect(child.errors.contains("'tcsh' is no value for <shell>, expected one of bash, zsh, fish"))
    }
}
