import Testing

@testable import Flags

private enum Mode: String, CaseIterable, ExpressibleByArgument { case fast, slow }

private struct Common: ParsableArguments {
    @Option(valueName: "file", help: "The configuration.") var config: String?
}

private struct Send: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Send an event.", discussion: "More words.")
    @OptionGroup var common: Common
    @Option(help: "How many at first.") var failFirst = 0
    @Option(name: .shortAndLong, help: "How.") var mode = Mode.fast
    @Option(name: .customLong("header"), help: "Repeatable.") var headers: [String] = []
    @Option(help: "Needed.") var type: String
    @Flag(name: .shortAndLong, help: "Quietly.") var quiet = false
    @Flag(name: .customShort("x"), help: "Exactly.") var exact = false
    @Argument(help: "Where from.") var source: String
    @Argument(help: "What.") var files: [String] = []

    func validate() throws { if failFirst > 100 { throw ValidationError("--fail-first is too much") } }
    func run() async throws { throw ExitCode(Int32(files.count)) }
}

private struct Add: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Add one.")
    @Argument() var name: String?
    @Option var port: UInt16 = 80
    func run() async throws { if name == "broken" { throw ExitCode.failure } }
}

private struct Users: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Users.", subcommands: [Add.self])
}

private struct Tool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tool", abstract: "A tool.", version: "1.2.3", subcommands: [Send.self, Users.self])
}

@Suite struct FlagsTests {
    private func parse<Command: ParsableCommand>(_ words: String...) throws -> Command {
        try #require(try CommandLineParser(root: Tool.self).parse(words).0 as? Command)
    }

    private func message(_ words: String...) -> String {
        do {
            _ = try CommandLineParser(root: Tool.self).parse(words)
            return ""
        } catch {
            return (error as? UsageError)?.message ?? "\(error)"
        }
    }

    @Test func everythingFindsItsProperty() throws {
        let send: Send = try parse(
            "send", "--type", "a", "src", "--fail-first=3", "-m", "slow", "--header", "A: 1", "one", "--header=B=2",
            "-qx", "--config", "c.yaml", "-", "--", "--two")
        #expect(send.type == "a" && send.failFirst == 3 && send.mode == .slow)
        #expect(send.headers == ["A: 1", "B=2"])
        #expect(send.quiet && send.exact)
        #expect(send.common.config == "c.yaml")
        #expect(send.source == "src" && send.files == ["one", "-", "--two"])
    }

    @Test func defaultsStayWhereNothingIsGiven() throws {
        let send: Send = try parse("send", "--type=", "src")
        #expect(send.type.isEmpty && send.failFirst == 0 && send.mode == .fast && send.headers.isEmpty)
        #expect(!send.quiet && send.common.config == nil && send.files.isEmpty)
        let add: Add = try parse("users", "add")
        #expect(add.name == nil && add.port == 80)
    }

    @Test func commandsOfOneTypeDoNotShareValues() throws {
        let first: Add = try parse("users", "add", "a", "--port", "1")
        let second: Add = try parse("users", "add")
        #expect(first.name == "a" && second.name == nil && second.port == 80)
    }

    @Test func mistakesAreExplained() {
        #expect(message("sned") == "there is no command 'sned'; did you mean 'send'?")
        #expect(message("users", "delete") == "there is no command 'delete'")
        #expect(message("send", "--typ", "a", "s") == "there is no option '--typ'; did you mean '--type'?")
        #expect(message("send", "s") == "--type <type> is missing")
        #expect(message("send", "--type", "a") == "<source> is missing")
        #expect(message("send", "s", "--type") == "--type needs a value: --type <type>")
        #expect(message("send", "s", "--type", "--quiet") == "--type needs a value: --type <type>")
        #expect(message("send", "--type", "a", "--type", "b", "s") == "--type was given twice")
        #expect(message("send", "--quiet=yes", "s") == "--quiet takes no value")
        #expect(message("send", "--fail-first", "x", "s") == "'x' is no value for --fail-first")
        #expect(
            message("send", "--mode", "slwo", "s")
                == "'slwo' is no value for --mode, expected one of fast, slow; did you mean 'slow'?")
        #expect(message("users", "add", "a", "b") == "unexpected argument 'b'")
        #expect(message("users", "add", "--port", "65536") == "'65536' is no value for --port")
        #expect(message("send", "-qz", "s") == "there is no option '-qz'; did you mean '-q'?")
    }

    @Test func exitCodesSayWhatHappened() async {
        #expect(await Tool.execute(["send", "--type", "a", "s", "1", "2"]) == 2)
        #expect(await Tool.execute(["users", "add"]) == 0)
        #expect(await Tool.execute(["users", "add", "broken"]) == 1)
        #expect(await Tool.execute(["nothing"]) == 64)
        #expect(await Tool.execute(["send", "--type", "a", "s", "--fail-first", "101"]) == 64)
        #expect(await Tool.execute(["users"]) == 0)
        #expect(await Tool.execute(["--version"]) == 0)
        #expect(await Tool.execute(["send", "--help"]) == 0)
    }

    @Test func helpIsMadeFromTheProperties() {
        let page = HelpText.page(Send.self, path: ["tool", "send"])
        #expect(
            page == """
                OVERVIEW: Send an event.

                More words.

                USAGE: \(HelpText.usage(Send.self, path: ["tool", "send"]))

                ARGUMENTS:
                  <source>                Where from.
                  <files>                 What.

                OPTIONS:
                  --config <file>         The configuration.
                  --fail-first <fail-first>
                                          How many at first. (default: 0)
                  -m, --mode <mode>       How. (values: fast, slow; default: fast)
                  --header <headers>      Repeatable.
                  --type <type>           Needed.
                  -q, --quiet             Quietly.
                  -x, --exact             Exactly.
                  -h, --help              Show this page.

                """)
        #expect(
            HelpText.usage(Send.self, path: ["tool", "send"])
                == "tool send [--config <file>] [--fail-first <fail-first>] [--mode <mode>] [--header <headers> ...] "
                + "--type <type> [--quiet] [--exact] <source> [<files> ...]")
        let root = HelpText.page(Tool.self, path: ["tool"])
        #expect(root.contains("  users                   Users.\n") && root.contains("--version"))
    }

    @Test func helpIsFoundWhereverItIsAskedFor() throws {
        for words in [["help", "send"], ["send", "--help"], ["send", "s", "-h"]] {
            let request = #expect(throws: HelpRequest.self) { _ = try CommandLineParser(root: Tool.self).parse(words) }
            #expect(request?.path == ["tool", "send"])
        }
        #expect(message("send", "--type", "a", "--", "--help").isEmpty)
    }

    @Test func usageErrorsPointToHelp() {
        let error = UsageError(message: "wrong", command: Add.self, path: ["tool", "users", "add"])
        #expect(
            error.description == """
                Error: wrong
                Usage: tool users add [--port <port>] [<name>]
                  See 'tool users add --help' for more information.

                """)
    }

    @Test func theModelIsData() {
        let model = Tool.model
        #expect(model.subcommands.map(\.path) == ["tool send", "tool users"])
        #expect(model.subcommands[1].subcommands[0].path == "tool users add")
        let mode = model.subcommands[0].arguments.first { $0.names.contains("--mode") }
        #expect(mode?.choices == ["fast", "slow"] && mode?.defaultText == "fast" && mode?.isRequired == false)
    }
}
